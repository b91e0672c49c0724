/** User accounts, from wherever the host keeps them (files, LDAP, …). */
import type { RunProgram } from "./child.ts";

export type User = { readonly name: string; readonly uid: number };

/** The first of `names` that exists; null when none does. */
export async function findUser(run: RunProgram, names: readonly string[]): Promise<User | null> {
  for (const name of names) {
    // getent exits 2 when there is no such key.
    const { exitStatus, stdout } = await run({ program: "getent", args: ["passwd", "--", name] });
    const [account, , uid] = stdout.split(":");
    if (exitStatus === 0 && account !== undefined && /^\d+$/.test(uid ?? "")) {
      return { name: account, uid: Number(uid) };
    }
  }
  return null;
}
