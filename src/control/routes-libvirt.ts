/** The route that libvirt's hook calls (docs/HOTPLUG.md). */
import { z } from "zod";
import { LIBVIRT_BEGINNINGS, LIBVIRT_ENDS } from "./libvirt-api.ts";
import { type Call, type ControlAnswer, EMPTY, type Route } from "./route.ts";
import { check } from "./schema.ts";

const GUEST_CHARACTERS_MAX = 4_096;

const libvirtHookCall = z.strictObject({
  guest: z.string().max(GUEST_CHARACTERS_MAX),
  operation: z.enum([...LIBVIRT_BEGINNINGS, ...LIBVIRT_ENDS]),
  xml: z.string(),
});

export const LIBVIRT_ROUTES: readonly Route[] = [
  { method: "POST", path: "/libvirt-hook", run: callHook },
];

async function callHook({ api, body }: Call): Promise<ControlAnswer> {
  await api.libvirt.hook(check(libvirtHookCall, body));
  return EMPTY;
}
