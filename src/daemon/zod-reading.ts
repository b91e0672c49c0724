/** The `net/` parsers inside zod schemas. */
import { z } from "zod";

/** A parser as a transform: what it throws becomes an issue at the field. */
export function reading<T>(
  parse: (text: string) => T,
): (text: string, context: z.RefinementCtx) => T {
  return (text, context) => {
    try {
      return parse(text);
    } catch (error) {
      context.addIssue({ code: "custom", message: error instanceof Error ? error.message : "bad" });
      return z.NEVER;
    }
  };
}
