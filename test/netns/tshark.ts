/** What tshark, which knows our keys and none of our code, makes of captured datagrams. */
import { unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Lab } from "./lab.ts";
import type { TimedFrame } from "./link-tools.ts";
import { run } from "./programs.ts";

/** One sealed datagram, as tshark decrypts it. */
export type OpenedDatagram = {
  readonly source: string;
  readonly spi: number;
  readonly icvGood: boolean;
  readonly icvBad: boolean;
  readonly nextHeader: number;
  /** What was sealed: without padding, its length and the next header. */
  readonly content: Buffer;
};

const FIELDS = ["ip.src", "esp.spi", "esp.icv_good", "esp.icv_bad", "esp.protocol"] as const;
/** Which one holds the content depends on whether the suite encrypts. */
const CONTENT_FIELDS = ["esp.contained_data", "esp.encrypted_data"] as const;
const PCAP_MAGIC_NANOSECONDS = 0xa1b23c4d;
const LINKTYPE_ETHERNET = 1;
const SNAP_BYTES = 0x40000;

/**
 * Every sealed datagram of the capture, oldest first.
 *
 * @param exported what `vn sa-export` printed, its options included
 */
export async function openWithTshark(
  lab: Lab,
  frames: readonly TimedFrame[],
  exported: string,
): Promise<readonly OpenedDatagram[]> {
  const file = join(lab.folder, "capture.pcap");
  writeFileSync(file, pcapOf(frames), { mode: 0o600 });
  const fields = [...FIELDS, ...CONTENT_FIELDS].flatMap((field) => ["-e", field]);
  const text = await run("tshark", [
    ...["-n", "-r", file, ...optionsOf(exported), "-Y", "esp"],
    ...["-T", "fields", "-E", "occurrence=f", ...fields],
  ]);
  unlinkSync(file);
  return text.split("\n").filter(Boolean).map(readRow);
}

function readRow(line: string): OpenedDatagram {
  const [source = "", spi = "", good = "", bad = "", nextHeader = "", ...contents] =
    line.split("\t");
  const content = contents.find((value) => value !== "") ?? "";
  return {
    ...{ source, spi: Number(spi), icvGood: isTrue(good), icvBad: isTrue(bad) },
    nextHeader: Number(nextHeader),
    content: Buffer.from(content.replaceAll(":", ""), "hex"),
  };
}

function isTrue(value: string): boolean {
  return value === "1" || value === "True";
}

/** `# -o 'uat:…'` and `# -d udp.port==1798,udpencap`, as arguments. */
function optionsOf(exported: string): readonly string[] {
  return [...exported.matchAll(/^# (-[do]) (?:'(.*)'|(\S+))$/gm)].flatMap(
    ([, option = "", quoted, plain]) => [option, quoted ?? plain ?? ""],
  );
}

/** https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-04.html */
function pcapOf(frames: readonly TimedFrame[]): Buffer {
  const header = Buffer.alloc(24);
  header.writeUInt32LE(PCAP_MAGIC_NANOSECONDS, 0);
  header.writeUInt16LE(2, 4);
  header.writeUInt16LE(4, 6);
  header.writeUInt32LE(SNAP_BYTES, 16);
  header.writeUInt32LE(LINKTYPE_ETHERNET, 20);
  const records = frames.flatMap(({ timeNs, frame }) => {
    const record = Buffer.alloc(16);
    record.writeUInt32LE(Number(timeNs / 1_000_000_000n), 0);
    record.writeUInt32LE(Number(timeNs % 1_000_000_000n), 4);
    record.writeUInt32LE(frame.length, 8);
    record.writeUInt32LE(frame.length, 12);
    return [record, frame];
  });
  return Buffer.concat([header, ...records]);
}
