/**
 * Writes the manual pages from what the programs know of themselves: the commands of `vn`, the
 * options of `vnetd`, the schema of its configuration and the forms of its S-expressions.
 *
 * usage: generate-manual DIRECTORY
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { sxpPage } from "./manual/sxp-page.ts";
import { tomlPage } from "./manual/toml-page.ts";
import { describeVn, vnPage } from "./manual/vn-page.ts";
import { vnetdPage } from "./manual/vnetd-page.ts";

const [directory = "share/man"] = process.argv.slice(2);
const pages = {
  "man1/vn.1": vnPage(describeVn()),
  "man5/vnet.sxp.5": sxpPage(),
  "man5/vnetd.toml.5": tomlPage(),
  "man8/vnetd.8": vnetdPage(),
};
for (const [name, text] of Object.entries(pages)) {
  const file = join(directory, name);
  mkdirSync(join(file, ".."), { recursive: true });
  writeFileSync(file, text);
}
