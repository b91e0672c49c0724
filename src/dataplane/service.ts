/**
 * vnet-dp as a service of systemd's: its socket unit listens, whoever connects has it started, and
 * it takes its switches from a file of ours, so that there is one configuration.
 */
import { rename, writeFile } from "node:fs/promises";
import { DataplaneClient, DataplaneError } from "./client.ts";
import { type DataplaneSettings, formatSwitches } from "./settings.ts";

export type ServiceOptions = {
  readonly settings: DataplaneSettings;
  readonly log: { warn(fields: object, message: string): void };
  /** Connects and greets. */
  readonly open: () => Promise<DataplaneClient>;
  /** Why this one is not to be used; null: it is. */
  readonly refuse: (client: DataplaneClient) => string | null;
};

const DEADLINE_MS = 10_000;
const RETRY_MS = 50;
const EPROTO = 71;

/**
 * The service, started if need be. One that is refused, or speaks another version, is asked to
 * end, once: systemd starts the installed program in its place.
 *
 * @throws DataplaneError when none has greeted in time
 */
export async function callService(
  optionsFile: string,
  options: ServiceOptions,
): Promise<DataplaneClient> {
  await writeSwitches(optionsFile, options.settings);
  const giveUpAt = performance.now() + DEADLINE_MS;
  let mayReplace = true;
  for (;;) {
    const found = await tryOpen(options);
    if (found.kind === "usable") {
      return found.client;
    }
    const { why, errno } = found;
    if (found.kind === "unusable" && mayReplace) {
      mayReplace = false;
      options.log.warn({ why }, "the service vnet-dp is started anew");
      await DataplaneClient.end(options.settings.socketPath);
    } else if (performance.now() > giveUpAt) {
      const hint = "see: systemctl status vnet-dp";
      throw new DataplaneError(`Cannot use the service vnet-dp: ${why}; ${hint}`, errno);
    }
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}

type Found =
  | { readonly kind: "usable"; readonly client: DataplaneClient }
  /** It runs, and has to be replaced; or it does not run, or not yet. */
  | { readonly kind: "unusable" | "absent"; readonly why: string; readonly errno: number };

async function tryOpen({ open, refuse }: ServiceOptions): Promise<Found> {
  try {
    const client = await open();
    const why = refuse(client);
    if (why === null) {
      return { kind: "usable", client };
    }
    client.close();
    return { kind: "unusable", why: `it ${why}`, errno: 0 };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    const errno = error instanceof DataplaneError ? error.errno : 0;
    return { kind: errno === EPROTO ? "unusable" : "absent", why, errno };
  }
}

/** In the form of EnvironmentFile= (systemd.exec(5)); by rename, for it may be read at any time. */
async function writeSwitches(file: string, settings: DataplaneSettings): Promise<void> {
  await writeFile(`${file}.new`, `VNET_DP_OPTIONS="${formatSwitches(settings)}"\n`);
  await rename(`${file}.new`, file);
}
