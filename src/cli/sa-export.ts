/** `vn sa-export`: what Wireshark and tshark need to decrypt a secure vnet. */
import { parseVnetRef } from "../control/references.ts";
import type { VnCommand } from "./command.ts";
import { type CliContext, UsageError } from "./context.ts";
import { reasonOf } from "./vnet-file.ts";

/** As the daemon writes it (src/daemon/sa-export.ts). */
type ExportedSa = {
  readonly direction: "send" | "receive";
  readonly spi: number;
  readonly suite: string;
  readonly keyId: number;
  readonly epoch: number;
  readonly host: { readonly address: string } | null;
  /** Hexadecimal, in the suite's layout. */
  readonly keys: string;
};

type Algorithms = {
  readonly encryption: string;
  readonly encryptionKey: string;
  readonly authentication: string;
  readonly authenticationKey: string;
};

const QUESTION =
  "These keys decrypt and forge what this vnet carries until they are replaced. Print them? [y/N] ";

const GCM = "AES-GCM with 16 octet ICV [RFC4106]";
const AES_KEY_DIGITS = 32;
const IV_KEY_DIGITS = 32;

export function addSaExportCommand(program: VnCommand, { io, control }: CliContext): void {
  program
    .command("sa-export")
    .description("print what Wireshark needs to decrypt a secure vnet; for root, asks first")
    .argument("<vnet>", "vnet id or interface name", parseVnetRef)
    .option("-y, --yes", "do not ask")
    .addHelpText("after", FORM_HELP)
    .examples(
      ["vn sa-export 97 >>~/.config/wireshark/esp_sa", "for Wireshark"],
      ["vn sa-export 97 --yes | sed -n 's/^# //p'", "the options for tshark"],
    )
    .action(async (vnet: string, { yes }: { readonly yes?: true }) => {
      if (yes !== true) {
        confirm(io);
      }
      const { file, udpPort } = await control().keys.exportSas(vnet);
      io.stdout(formatExport(readExport(io, file), udpPort));
    });
}

const FORM_HELP = `
It prints the lines of Wireshark's table "ESP SAs" (the file esp_sa of a profile), and in comments
the options for tshark. They hold for the security associations of now: after a renewal, which there
is every quarter of an hour, print them again. The keys come by a file that only root can read.`;

function confirm(io: CliContext["io"]): void {
  const answer = io.ask(QUESTION);
  if (answer === null) {
    throw new UsageError("nobody is there to be asked: say --yes");
  }
  if (!/^y(es)?$/i.test(answer.trim())) {
    throw new UsageError("not confirmed, nothing was printed");
  }
}

function readExport(io: CliContext["io"], file: string): readonly ExportedSa[] {
  let text: string;
  try {
    text = new TextDecoder().decode(io.readFile(file));
    io.removeFile(file);
  } catch (error) {
    throw new Error(`Cannot read the keys: ${reasonOf(error)}, be root (${file})`, {
      cause: error,
    });
  }
  return JSON.parse(text) as ExportedSa[];
}

/** Comments with tshark's options, then a line an SA. */
function formatExport(sas: readonly ExportedSa[], udpPort: number): string {
  const lines = sas.flatMap(formatSa);
  const options = [
    `-d udp.port==${udpPort},udpencap`,
    "-o esp.enable_encryption_decode:TRUE",
    "-o esp.enable_authentication_check:TRUE",
    ...lines.map((line) => `-o 'uat:esp_sa:${line}'`),
  ];
  return [...options.map((option) => `# ${option}`), ...lines].map((line) => `${line}\n`).join("");
}

function formatSa(sa: ExportedSa): readonly string[] {
  const { encryption, encryptionKey, authentication, authenticationKey } = algorithmsOf(sa);
  const spi = `0x${sa.spi.toString(16).padStart(8, "0")}`;
  const rest = [spi, encryption, encryptionKey, authentication, authenticationKey];
  const isIpv6 = sa.host?.address.includes(":");
  const protocols = sa.host === null ? ["IPv4", "IPv6"] : [isIpv6 ? "IPv6" : "IPv4"];
  return protocols.map((protocol) =>
    [protocol, sa.host?.address ?? "*", "*", ...rest].map((field) => `"${field}"`).join(","),
  );
}

/** The names are Wireshark's. */
function algorithmsOf({ suite, keys }: ExportedSa): Algorithms {
  const none = { encryption: "NULL", encryptionKey: "" };
  switch (suite) {
    case "aes128-gcm":
    case "aes256-gcm":
      return {
        ...{ encryption: GCM, encryptionKey: `0x${keys}` },
        ...{ authentication: "NULL", authenticationKey: "" },
      };
    case "hmac-sha256-128":
      return {
        ...none,
        ...{ authentication: "HMAC-SHA-256-128 [RFC4868]", authenticationKey: `0x${keys}` },
      };
    case "hmac96":
      return {
        ...none,
        ...{ authentication: "HMAC-SHA-1-96 [RFC2404]", authenticationKey: `0x${keys}` },
      };
    case "aes128-hmac96":
      return {
        encryption: "AES-CBC [RFC3602]",
        encryptionKey: `0x${keys.slice(0, AES_KEY_DIGITS)}`,
        authentication: "HMAC-SHA-1-96 [RFC2404]",
        authenticationKey: `0x${keys.slice(AES_KEY_DIGITS + IV_KEY_DIGITS)}`,
      };
    default:
      throw new Error(`Cannot print the keys of suite ${suite}: it is not known here`);
  }
}
