/**
 * Deadlines in the order they fall due: a binary heap. A deadline is never taken out; whoever set
 * it finds, when it comes, that it does not hold any more. Adding and taking cost log n.
 */
export type WakeQueue<T> = { readonly heap: Deadline<T>[] };

export type Deadline<T> = { readonly at: number; readonly what: T };

export function createWakeQueue<T>(): WakeQueue<T> {
  return { heap: [] };
}

/** The earliest deadline; infinity when there is none. */
export function earliestWakeAt<T>({ heap }: WakeQueue<T>): number {
  return heap[0]?.at ?? Number.POSITIVE_INFINITY;
}

export function addDeadline<T>({ heap }: WakeQueue<T>, deadline: Deadline<T>): void {
  let index = heap.length;
  heap.push(deadline);
  while (index > 0) {
    const parentIndex = (index - 1) >> 1;
    const parent = heap[parentIndex];
    if (parent === undefined || parent.at <= deadline.at) {
      break;
    }
    heap[index] = parent;
    index = parentIndex;
  }
  heap[index] = deadline;
}

/** Takes the earliest deadline if it is due at `now`. */
export function takeDue<T>({ heap }: WakeQueue<T>, now: number): Deadline<T> | null {
  const first = heap[0];
  if (first === undefined || first.at > now) {
    return null;
  }
  const last = heap.pop();
  if (last !== undefined && heap.length > 0) {
    sink(heap, last);
  }
  return first;
}

/** Puts `deadline` at the root and moves it down to its place. */
function sink<T>(heap: Deadline<T>[], deadline: Deadline<T>): void {
  let index = 0;
  for (;;) {
    const left = heap[2 * index + 1];
    const right = heap[2 * index + 2];
    const rightIsEarlier = right !== undefined && left !== undefined && right.at < left.at;
    const child = rightIsEarlier ? right : left;
    if (child === undefined || child.at >= deadline.at) {
      break;
    }
    heap[index] = child;
    index = 2 * index + (rightIsEarlier ? 2 : 1);
  }
  heap[index] = deadline;
}
