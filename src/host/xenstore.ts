/**
 * xenstored's tree of keys and values (xenstore.txt in Xen's documentation): read, list, write,
 * remove, watch, and several of them as one transaction.
 */

/**
 * - `no-store`: there is no socket, or none listens: this host has no xenstored, or it is down.
 * - `no-permission`: the socket is there, but not for us.
 * - `refused`: the store answered with an error; `errno` says which.
 * - `conflict`: a transaction was undone by others' changes each time it was tried.
 * - `ended`: the connection ended before the answer; it is not known what has been changed.
 * - `deadline`: no answer in time; as `ended`, which it leads to.
 */
export type XenstoreFailure =
  | "no-store"
  | "no-permission"
  | "refused"
  | "conflict"
  | "ended"
  | "deadline";

export class XenstoreError extends Error {
  override readonly name = "XenstoreError";
  readonly code = "VNETD_XENSTORE_FAILED";
  readonly reason: XenstoreFailure;
  /** As xenstored spells it, `EACCES`; null when it did not answer. */
  readonly errno: string | null;

  constructor(
    reason: XenstoreFailure,
    message: string,
    options?: ErrorOptions & { readonly errno?: string },
  ) {
    super(message, options);
    this.reason = reason;
    this.errno = options?.errno ?? null;
  }
}

export type XenstorePermissions = {
  /** The domain that owns the node and may do anything with it. */
  readonly ownerDomainId: number;
  /** What domains that are not named below may do. */
  readonly others: XenstoreAccess;
  readonly domains: ReadonlyMap<number, XenstoreAccess>;
};

export type XenstoreAccess = "none" | "read" | "write" | "both";

/** Whether only dom0 can have written the node: it owns it, and no other domain may write. */
export function isWrittenByDom0Only({
  ownerDomainId,
  others,
  domains,
}: XenstorePermissions): boolean {
  const writes = (access: XenstoreAccess): boolean => access === "write" || access === "both";
  return ownerDomainId === 0 && !writes(others) && ![...domains.values()].some(writes);
}

/** Paths are absolute. All throw {@link XenstoreError}. */
export type XenstoreReader = {
  /** Null when there is no such node. Octets that are no UTF-8 become U+FFFD. */
  read(path: string): Promise<string | null>;
  /** The names of a node's children; null when there is no such node. */
  list(path: string): Promise<readonly string[] | null>;
  /** Null when there is no such node. */
  permissions(path: string): Promise<XenstorePermissions | null>;
};

export type XenstoreWriter = {
  /** Makes the nodes above it too. */
  write(path: string, value: string): Promise<void>;
  /** With all below it; nothing happens when there is no such node. */
  remove(path: string): Promise<void>;
};

export type Xenstore = XenstoreReader &
  XenstoreWriter & {
    readonly connected: boolean;
    /**
     * What changes at or below it is told from now on, after each reconnect too. Without a
     * connection it is asked for at the next one.
     */
    watch(path: string): Promise<void>;
    unwatch(path: string): Promise<void>;
    /**
     * All that `work` reads and writes through its argument happens at one moment; `work` is called
     * again when others changed the same nodes meanwhile.
     */
    transact<T>(work: (transaction: XenstoreReader & XenstoreWriter) => Promise<T>): Promise<T>;
    /** Ends the connection. What is unanswered is rejected. */
    close(): void;
  };

export type XenstoreOptions = {
  /**
   * Nodes to be watched from the beginning, as by `watch`. `@introduceDomain` and `@releaseDomain`
   * are told when a domain comes or goes.
   */
  readonly watches: readonly string[];
  /**
   * Something at or below `path` was written, removed or given other permissions; with `null`,
   * anything may have been: the connection is new, or events were lost.
   */
  readonly onChange: (path: string | null) => void;
  /** There is no connection; told once, and again when the reason is another. It is tried again. */
  readonly onFailure: (error: XenstoreError) => void;
  /** @default `XENSTORED_PATH`, else the socket in `XENSTORED_RUNDIR`, /run/xenstored or /var/run/xenstored */
  readonly socketPath?: string;
  /** For each answer. @default 5000 */
  readonly deadlineMs?: number;
};
