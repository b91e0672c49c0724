/** What `vn doctor` says of one thing. */

export type Verdict = "ok" | "warning" | "fault" | "not-applicable";

export type Finding = {
  /** A stable name, `key-files`. */
  readonly check: string;
  readonly verdict: Verdict;
  /** One line: what was found. */
  readonly what: string;
  /** What to do; null when there is nothing to mend. */
  readonly mend: string | null;
};

export function healthy(check: string, what: string): Finding {
  return { check, verdict: "ok", what, mend: null };
}

export function skipped(check: string, what: string): Finding {
  return { check, verdict: "not-applicable", what, mend: null };
}

export function wrong(
  check: string,
  verdict: "warning" | "fault",
  { what, mend }: { readonly what: string; readonly mend: string },
): Finding {
  return { check, verdict, what, mend };
}
