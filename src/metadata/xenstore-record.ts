/**
 * The record of one VIF in xenstore, `/xapi/<vm uuid>/private/vif/<devid>`: where it is and what of
 * it is read. Only what no other domain than 0 can have written is believed.
 */
import {
  isWrittenByDom0Only,
  type XenstorePermissions,
  type XenstoreReader,
} from "../host/xenstore.ts";
import { ParseError } from "../net/parse-error.ts";
import { isOwnOtherConfig, XAPI_FIELD_NAMES, type XapiFields, xapiFieldOf } from "./xapi-vif.ts";

export type XenstoreRecord = { readonly vm: string; readonly devid: number };

export const VM_UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}";
export const RECORD_PATH = new RegExp(
  `^/xapi/(${VM_UUID})/private/vif/(0|[1-9]\\d{0,4})(?:/|$)`,
  "i",
);

/**
 * The record's fields; null when there is none.
 *
 * @throws ParseError when another domain could have written one of them
 */
export async function readFields(reader: XenstoreReader, path: string): Promise<XapiFields | null> {
  const permissions = await reader.permissions(path);
  if (permissions === null) {
    return null;
  }
  requireTrusted(path, permissions);
  const ownKeys = ((await reader.list(`${path}/other-config`)) ?? []).filter(isOwnOtherConfig);
  const names = [...XAPI_FIELD_NAMES, "vif-uuid", ...ownKeys.map((name) => `other-config/${name}`)];
  const fields = await Promise.all(
    names.map(async (name) => {
      const [text, itsPermissions] = await Promise.all([
        reader.read(`${path}/${name}`),
        reader.permissions(`${path}/${name}`),
      ]);
      if (text === null || itsPermissions === null) {
        return [];
      }
      requireTrusted(`${path}/${name}`, itsPermissions);
      return [[name, xapiFieldOf(name, text)] as const];
    }),
  );
  return new Map(fields.flat());
}

function requireTrusted(path: string, permissions: XenstorePermissions): void {
  if (!isWrittenByDom0Only(permissions)) {
    throw new ParseError(`${path} is not trusted: another domain than 0 may write to it`);
  }
}

export function pathOf({ vm, devid }: XenstoreRecord): string {
  return `/xapi/${vm}/private/vif/${devid}`;
}

export function recordOf(path: string): XenstoreRecord {
  const [, vm = "", devid] = RECORD_PATH.exec(path) ?? [];
  return { vm, devid: Number(devid) };
}
