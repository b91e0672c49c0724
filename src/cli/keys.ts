/**
 * `vn key-generate`, `vnet-keys`, `vnet-key-add`, `vnet-key-activate`, `vnet-key-delete`: the keys
 * of secure vnets. A key never passes through here but when it is made: the daemon reads files.
 */
import { resolve } from "node:path";
import type { KeyView } from "../control/keys-api.ts";
import { parseVnetRef } from "../control/references.ts";
import { type Endpoint, formatEndpoint } from "../net/endpoint.ts";
import { quoteValue } from "../net/parse-error.ts";
import { shortVnetId } from "../net/vnet-id.ts";
import { formatKeyId, KEY_BYTES, parseKeyId } from "../vnet/key-ring.ts";
import { printSexpr, type SexprText } from "../vnet/sexpr.ts";
import { addOutputOptions, collect, type OutputOptions, type VnCommand } from "./command.ts";
import type { CliContext } from "./context.ts";
import { type Listing, printListing } from "./print.ts";
import { reasonOf } from "./vnet-file.ts";

const KEYS: Listing<KeyView> = {
  columns: [
    { title: "VNET", cell: ({ vnet }) => shortVnetId(vnet) },
    { title: "KEY", cell: ({ keyId }) => keyId },
    { title: "STATE", cell: stateOf },
    { title: "HELD", cell: ({ heldBy, hostCount }) => `${heldBy.length}/${hostCount}` },
    { title: "USED", cell: ({ usedBy, hostCount }) => `${usedBy.length}/${hostCount}` },
    { title: "MISSING-AT", cell: ({ missingAt }) => missingAt.map(formatEndpoint).join(",") },
  ],
  sxp: (keys) => keys.map((key) => `${printSexpr(sexprOf(key))}\n`).join(""),
};

export function addKeyCommands(program: VnCommand, context: CliContext): void {
  addGenerate(program, context);
  addList(program, context);
  addChanges(program, context);
}

function addGenerate(program: VnCommand, { io }: CliContext): void {
  program
    .command("key-generate")
    .description("write a new key to a new file that only its owner can read")
    .argument("<file>", "the file; one that is there already is never written over")
    .examples(["vn key-generate /root/vnet97.key", "then copy it, over ssh, to the other hosts"])
    .action((file: string) => {
      // Not node:crypto: every command of `vn` would load it, for two of fifty milliseconds.
      const secret = crypto.getRandomValues(Buffer.alloc(KEY_BYTES));
      const line = Buffer.from(`${secret.toString("base64")}\n`);
      try {
        io.createSecretFile(file, line);
      } catch (error) {
        const code = error instanceof Error && "code" in error ? error.code : undefined;
        const why = code === "EEXIST" ? "it exists" : reasonOf(error);
        throw new Error(`Cannot write the key file: ${why} (${quoteValue(file)})`, {
          cause: error,
        });
      } finally {
        secret.fill(0);
        line.fill(0);
      }
    });
}

function addList(program: VnCommand, { io, control }: CliContext): void {
  addOutputOptions(program.command("vnet-keys"))
    .description("list the keys of secure vnets, and which hosts have them and lag")
    .argument("[vnet...]", "vnet ids or interface names", collect(parseVnetRef))
    .addHelpText("after", COLUMNS_HELP)
    .examples(["vn vnet-keys 97", "before vnet-key-activate: is the new key held by all"])
    .action(async (vnets: readonly string[] = [], { output }: OutputOptions) => {
      io.stdout(printListing(KEYS, await control().keys.list(vnets), output));
    });
}

const COLUMNS_HELP = `
HELD and USED count the other hosts of the vnet that are reachable: those that have the key, and
those that send with it. MISSING-AT names the ones that have not got it.`;

function addChanges(program: VnCommand, { control }: CliContext): void {
  program
    .command("vnet-key-add")
    .description("add a key to a secure vnet, to receive with; do it on all hosts first")
    .argument("<vnet>", "vnet id or interface name", parseVnetRef)
    .argument("<file>", "the key's file, as vn key-generate makes it")
    .examples(["vn vnet-key-add 97 /root/vnet97-new.key", ""])
    .action(async (vnet: string, file: string) => {
      // The daemon opens it, and its working directory is another one.
      await control().keys.add(vnet, resolve(file));
    });
  program
    .command("vnet-key-activate")
    .description("send with this key from now on; the one before it is held, to receive with")
    .argument("<vnet>", "vnet id or interface name", parseVnetRef)
    .argument("<keyid>", "four hex digits, as `vn vnet-keys` shows them", parseKeyId)
    .examples(["vn vnet-key-activate 97 1a2b", "once vn vnet-keys shows it held by all"])
    .action(async (vnet: string, keyId: number) => {
      await control().keys.activate(vnet, formatKeyId(keyId));
    });
  program
    .command("vnet-key-delete")
    .description("forget a key that is not the active one, and overwrite it on the disk")
    .argument("<vnet>", "vnet id or interface name", parseVnetRef)
    .argument("<keyid>", "four hex digits, as `vn vnet-keys` shows them", parseKeyId)
    .examples(["vn vnet-key-delete 97 77f0", "once vn vnet-keys shows it used by none"])
    .action(async (vnet: string, keyId: number) => {
      await control().keys.delete(vnet, formatKeyId(keyId));
    });
}

function stateOf({ active }: KeyView): string {
  return active ? "active" : "held";
}

function sexprOf(key: KeyView): SexprText {
  const hosts = (name: string, endpoints: readonly Endpoint[]): SexprText => [
    name,
    ...endpoints.map(formatEndpoint),
  ];
  return [
    "key",
    ["vnet", key.vnet],
    ["id", key.keyId],
    ["state", stateOf(key)],
    ["hosts", String(key.hostCount)],
    hosts("held", key.heldBy),
    hosts("used", key.usedBy),
    hosts("missing", key.missingAt),
  ];
}
