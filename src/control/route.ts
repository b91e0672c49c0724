/** What a route is: a method and a path, and the call that answers. */
import type { ControlApi } from "./api.ts";
import { ControlError } from "./control-error.ts";

/** Besides those of the content. */
export type AnswerHeaders = Readonly<Record<string, string>>;

export type ControlAnswer =
  | { readonly kind: "json"; readonly status: 200 | 201; readonly value: unknown }
  | {
      readonly kind: "text";
      readonly status: 200;
      readonly type: string;
      readonly headers?: AnswerHeaders;
      readonly text: string;
    }
  /** Octets until the caller has gone or they end. */
  | {
      readonly kind: "stream";
      readonly status: 200;
      readonly type: string;
      readonly headers?: AnswerHeaders;
      readonly chunks: AsyncIterable<Uint8Array>;
    }
  | { readonly kind: "empty"; readonly status: 204 };

export type Call = {
  readonly api: ControlApi;
  /** The decoded segments of the path that the route leaves open, in order. */
  readonly segments: readonly string[];
  readonly query: ReadonlyMap<string, readonly string[]>;
  readonly body: unknown;
};

export type Route = {
  readonly method: "GET" | "POST" | "DELETE";
  /** `*` stands for one segment of the caller's. */
  readonly path: string;
  readonly query?: readonly string[];
  run(call: Call): Promise<ControlAnswer>;
};

export const EMPTY: ControlAnswer = { kind: "empty", status: 204 };

export function ok(value: unknown): ControlAnswer {
  return { kind: "json", status: 200, value };
}

export function created(value: unknown): ControlAnswer {
  return { kind: "json", status: 201, value };
}

/** @throws ControlError when it is given more than once */
export function oneOf(query: Call["query"], key: string): string | null {
  const [value, ...more] = query.get(key) ?? [];
  if (more.length > 0) {
    throw new ControlError("VNETD_BAD_REQUEST", `Query key given more than once: ${key}`);
  }
  return value ?? null;
}
