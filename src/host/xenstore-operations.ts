/** What can be asked of xenstored over one connection, alone or within a transaction. */
import {
  type XenstoreAccess,
  XenstoreError,
  type XenstorePermissions,
  type XenstoreReader,
  type XenstoreWriter,
} from "./xenstore.ts";
import type { XenstoreConnection } from "./xenstore-connection.ts";
import { splitTerminated, terminated, XENSTORE_TYPES } from "./xenstore-wire.ts";

export type XenstoreOperations = XenstoreReader & XenstoreWriter;

const NO_TRANSACTION = 0;
/** Others may change the same nodes all the time; each of them gets on, so we do in the end. */
const TRANSACTION_ATTEMPTS_MAX = 30;

/** @param transactionId 0: each by itself */
export function xenstoreOperations(
  connection: XenstoreConnection,
  transactionId: number = NO_TRANSACTION,
): XenstoreOperations {
  const ask = async (
    name: "read" | "directory" | "getPermissions" | "write" | "remove" | "directoryPart",
    path: string,
    rest: Buffer = Buffer.alloc(0),
  ): Promise<Buffer> => {
    const doing = `${DOING[name]} ${path}`;
    if (path.includes("\0")) {
      throw new XenstoreError("refused", `xenstored cannot ${doing}: EINVAL`, { errno: "EINVAL" });
    }
    const body = Buffer.concat([terminated(path), rest]);
    return await connection.request({ type: XENSTORE_TYPES[name], transactionId, body, doing });
  };
  return {
    async read(path) {
      const value = await orNull(ask("read", path));
      return value === null ? null : value.toString("utf8");
    },
    async list(path) {
      try {
        const names = await orNull(ask("directory", path));
        return names === null ? null : splitTerminated(names);
      } catch (error) {
        if (!(error instanceof XenstoreError && error.errno === "E2BIG")) {
          throw error;
        }
        return await listInParts((offset) => ask("directoryPart", path, terminated(offset)));
      }
    },
    async permissions(path) {
      const body = await orNull(ask("getPermissions", path));
      return body === null ? null : decodePermissions(body, path);
    },
    async write(path, value) {
      await ask("write", path, Buffer.from(value));
    },
    async remove(path) {
      await orNull(ask("remove", path));
    },
  };
}

const DOING = {
  read: "read",
  directory: "list",
  directoryPart: "list",
  getPermissions: "tell the permissions of",
  write: "write",
  remove: "remove",
} as const;

/**
 * Does the work as one transaction, as often as others come between.
 *
 * @throws XenstoreError `conflict` when they always do; what `work` throws
 */
export async function transactXenstore<T>(
  connection: XenstoreConnection,
  work: (transaction: XenstoreOperations) => Promise<T>,
): Promise<T> {
  for (let attempt = 0; attempt < TRANSACTION_ATTEMPTS_MAX; attempt += 1) {
    const transactionId = await startTransaction(connection);
    let result: T;
    try {
      result = await work(xenstoreOperations(connection, transactionId));
    } catch (error) {
      await endTransaction(connection, transactionId, "F");
      throw error;
    }
    if (await endTransaction(connection, transactionId, "T")) {
      return result;
    }
  }
  const why = `xenstored undid a transaction ${TRANSACTION_ATTEMPTS_MAX} times: others change the same`;
  throw new XenstoreError("conflict", why, { errno: "EAGAIN" });
}

async function startTransaction(connection: XenstoreConnection): Promise<number> {
  const type = XENSTORE_TYPES.transactionStart;
  const doing = "begin a transaction";
  const body = await connection.request({
    type,
    transactionId: NO_TRANSACTION,
    body: terminated(""),
    doing,
  });
  const [text = ""] = splitTerminated(body);
  if (!/^[1-9]\d{0,9}$/.test(text)) {
    throw malformed(connection, `the transaction ${JSON.stringify(text)}`);
  }
  return Number(text);
}

/** Whether it was done: false when others came between. */
async function endTransaction(
  connection: XenstoreConnection,
  transactionId: number,
  how: "T" | "F",
): Promise<boolean> {
  const type = XENSTORE_TYPES.transactionEnd;
  const doing = "end a transaction";
  try {
    await connection.request({ type, transactionId, body: terminated(how), doing });
    return true;
  } catch (error) {
    if (error instanceof XenstoreError && error.errno === "EAGAIN") {
      return false;
    }
    // What was given up and cannot be ended ends with the connection.
    if (how === "F") {
      return false;
    }
    throw error;
  }
}

/**
 * The names of a node with more children than one message holds. Each part begins with a number
 * that changes when the children do: then all is asked anew. An empty name ends the last part.
 */
async function listInParts(
  askPart: (offset: string) => Promise<Buffer>,
): Promise<readonly string[] | null> {
  const names: string[] = [];
  let generation: string | undefined;
  let offset = 0;
  for (;;) {
    const body = await orNull(askPart(String(offset)));
    if (body === null) {
      return null;
    }
    const [current, ...part] = splitTerminated(body);
    if (current !== generation) {
      names.length = 0;
      generation = current;
      if (offset > 0) {
        offset = 0;
        continue;
      }
    }
    const isLast = part.length === 0 || part.at(-1) === "";
    const found = part.filter((name) => name !== "");
    names.push(...found);
    if (isLast) {
      return names;
    }
    offset += Buffer.byteLength(found.join("\0")) + 1;
  }
}

const ACCESS: Readonly<Record<string, XenstoreAccess>> = {
  n: "none",
  r: "read",
  w: "write",
  b: "both",
};

function decodePermissions(body: Buffer, path: string): XenstorePermissions {
  const [owner, ...more] = splitTerminated(body).map((text) => {
    const access = ACCESS[text.slice(0, 1)];
    const domainId = text.slice(1);
    if (access === undefined || !/^\d{1,5}$/.test(domainId)) {
      const why = `xenstored sent what it must not: the permission ${JSON.stringify(text)} of ${path}`;
      throw new XenstoreError("ended", why);
    }
    return { domainId: Number(domainId), access };
  });
  if (owner === undefined) {
    throw new XenstoreError("ended", `xenstored sent what it must not: no permissions of ${path}`);
  }
  const domains = new Map(more.map(({ domainId, access }) => [domainId, access]));
  return { ownerDomainId: owner.domainId, others: owner.access, domains };
}

function malformed(connection: XenstoreConnection, what: string): XenstoreError {
  connection.close();
  return new XenstoreError("ended", `xenstored sent what it must not: ${what}`);
}

/** Null when there is no such node. */
async function orNull(answer: Promise<Buffer>): Promise<Buffer | null> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof XenstoreError && error.errno === "ENOENT") {
      return null;
    }
    throw error;
  }
}
