const values = globalThis as unknown as Record<symbol, unknown>;

/**
 * Returns the one value of this name in the process. Next.js loads a module once for pages, for actions and for routes, and again after
 * each change in development. A real app has a database instead.
 */
export function shared<T>(name: string, make: () => T): T {
  const key = Symbol.for(`example.${name}`);
  values[key] ??= make();
  return values[key] as T;
}
