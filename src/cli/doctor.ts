/** `vn doctor`: what goes wrong on this host, and how to mend it. */
import type { Finding } from "../doctor/finding.ts";
import type { VnCommand } from "./command.ts";
import type { CliContext } from "./context.ts";
import { printJson } from "./print.ts";

type DoctorOptions = {
  readonly json?: true;
  readonly keyDir: string;
  readonly ovsRunDir: string;
};

const MARKS: Readonly<Record<Finding["verdict"], string>> = {
  ok: "ok     ",
  warning: "WARNING",
  fault: "FAULT  ",
  "not-applicable": "-      ",
};

export function addDoctorCommand(program: VnCommand, { io, control }: CliContext): void {
  const command = program.command("doctor");
  command
    .description("find what is wrong on this host and say how to mend it; 1 when there is a fault")
    .option("--json", "print JSON")
    .option("--key-dir <dir>", "where vnetd has its keys", "/etc/vnetd/keys")
    .option("--ovs-run-dir <dir>", "where Open vSwitch is", "/var/run/openvswitch")
    .examples(
      ["vn doctor", "when frames do not arrive"],
      ["vn doctor --json | jq '.[] | select(.verdict == \"fault\")'", "for a program"],
    )
    .action(async ({ json, keyDir, ovsRunDir }: DoctorOptions) => {
      // Only here: starting programs is nothing that any other command needs to load.
      const { examine } = await import("../doctor/examine.ts");
      const findings = await examine({
        ...{ control: control(), keyDirectory: keyDir, ovsRunDirectory: ovsRunDir },
      });
      io.stdout(json === true ? printJson(findings) : findings.map(formatFinding).join(""));
      command.exitStatus = findings.some(({ verdict }) => verdict === "fault") ? 1 : 0;
    });
}

function formatFinding({ check, verdict, what, mend }: Finding): string {
  const line = `${MARKS[verdict]}  ${check.padEnd(14)}  ${what}\n`;
  return mend === null ? line : `${line}${" ".repeat(MARKS.ok.length + 18)}${mend}\n`;
}
