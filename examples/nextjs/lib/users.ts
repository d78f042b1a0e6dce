import { randomUUID } from "node:crypto";
import { shared } from "./shared";

/** A row of the app's own table of users. Watchword knows the id only, as the subject. */
export interface User {
  id: string;
  email: string;
}

const byEmail = shared("users", () => new Map<string, User>());

export const newUserId = (): string => `user_${randomUUID()}`;

/** Whether Ann@ and ann@ are one person is the decision of the app: here they are. */
export const normalizeEmail = (typed: string): string => typed.trim().toLowerCase();

export const findUser = (email: string): User | undefined => byEmail.get(email);

export const findUserById = (id: string | undefined): User | undefined => [...byEmail.values()].find((user) => user.id === id);

/** Adds a user with an address that nobody has, or returns the one who has it. */
export function addUser(id: string, email: string): User {
  const user = byEmail.get(email) ?? { id, email };
  byEmail.set(email, user);
  return user;
}
