import { chmodSync, cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { REPOSITORY } from "./lab.ts";

/** A user and group without rights: nobody's and nogroup's number on Debian. */
const NOBODY = "65534";

/** To be put before a command: it runs as nobody, without capabilities. */
export const AS_NOBODY = ["setpriv", "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"];

/**
 * The path of a program that other users can run, until the test ends: a copy of `bin/`, because
 * the checkout itself may be where only root can read, such as in root's home.
 */
export function programForAnyone(t: TestContext, name: "vn" | "vnetd"): string {
  const folder = mkdtempSync(join(tmpdir(), "vnt-bin-"));
  t.after(() => rmSync(folder, { recursive: true }));
  chmodSync(folder, 0o755);
  cpSync(join(REPOSITORY, "bin"), folder, { recursive: true });
  return join(folder, name);
}
