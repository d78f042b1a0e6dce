import { randomBytes, randomUUID, scrypt, timingSafeEqual } from "node:crypto";
import { promisify } from "node:util";

/** A row of the app's own table of users. Watchword knows the id only, as the subject. */
export interface User {
  id: string;
  email: string;
  /** Missing for people who have only ever signed in without one. */
  password?: Password;
  /** What happened to the account, from watchword's events; the newest first. */
  notices: string[];
}

export interface Password {
  salt: Buffer;
  hash: Buffer;
}

const derive = promisify<string, Buffer, number, Buffer>(scrypt);
const byEmail = new Map<string, User>();
const nobodysPassword = await hashPassword(randomUUID());

addUser("user_1", "ann@example.com").password = await hashPassword("correct horse");

export const newUserId = (): string => `user_${randomUUID()}`;

/** Whether Ann@ and ann@ are one person is the decision of the app: here they are. */
export const normalizeEmail = (typed: string): string => typed.trim().toLowerCase();

export const findUser = (email: string): User | undefined => byEmail.get(email);

export const findUserById = (id: string | undefined): User | undefined => [...byEmail.values()].find((user) => user.id === id);

/** Adds a user with an address that nobody has, or returns the one who has it. */
export function addUser(id: string, email: string): User {
  const user = byEmail.get(email) ?? { id, email, notices: [] };
  byEmail.set(email, user);
  return user;
}

export async function hashPassword(password: string): Promise<Password> {
  const salt = randomBytes(16);
  return { salt, hash: await derive(password, salt, 32) };
}

/** Returns the user with an address and a password. It takes as long for an address that nobody has. */
export async function checkPassword(email: string, password: string): Promise<User | undefined> {
  const user = findUser(email);
  const { salt, hash } = user?.password ?? nobodysPassword;
  const right = timingSafeEqual(await derive(password, salt, 32), hash);
  return right && user?.password ? user : undefined;
}
