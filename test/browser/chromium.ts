/** A Chromium without a window, driven over a pipe by its DevTools protocol. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";

type Message = {
  readonly id?: number;
  readonly method?: string;
  readonly params?: Readonly<Record<string, unknown>>;
  readonly result?: Readonly<Record<string, unknown>>;
  readonly error?: { readonly message: string };
};

type Params = Readonly<Record<string, unknown>>;

const FLAGS = [
  ...["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"],
  ...["--disable-background-networking", "--disable-component-update", "--disable-sync"],
  ...["--hide-scrollbars", "--remote-debugging-pipe", "about:blank"],
];

export class Chromium {
  readonly #process: ChildProcess;
  readonly #folder: string;
  readonly #input: Writable;
  readonly #answers = new Map<number, (message: Message) => void>();
  #sessionId: string | undefined;
  #count = 0;
  /** What the page or the browser complained about: errors, and what its policy refused. */
  readonly complaints: string[] = [];

  private constructor(child: ChildProcess, folder: string) {
    this.#process = child;
    child.setMaxListeners(0);
    this.#folder = folder;
    this.#input = child.stdio[3] as Writable;
    let text = "";
    (child.stdio[4] as Readable).setEncoding("utf8").on("data", (chunk: string) => {
      const messages = (text + chunk).split("\0");
      text = messages.pop() ?? "";
      for (const message of messages) {
        this.#take(JSON.parse(message) as Message);
      }
    });
  }

  /** @param namespace the network namespace that it runs in */
  static async start(namespace: string): Promise<Chromium> {
    const folder = mkdtempSync(join(tmpdir(), "vnt-chromium-"));
    const child = spawn(
      "ip",
      ["netns", "exec", namespace, "chromium", `--user-data-dir=${folder}`, ...FLAGS],
      {
        stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"],
        env: { ...process.env, HOME: folder },
      },
    );
    const browser = new Chromium(child, folder);
    const { targetInfos } = await browser.send("Target.getTargets");
    const page = (targetInfos as { type: string; targetId: string }[]).find(
      ({ type }) => type === "page",
    );
    const { sessionId } = await browser.send("Target.attachToTarget", {
      targetId: page?.targetId,
      flatten: true,
    });
    browser.#sessionId = String(sessionId);
    for (const domain of ["Page", "Runtime", "Log"]) {
      await browser.send(`${domain}.enable`);
    }
    return browser;
  }

  async send(method: string, params: Params = {}): Promise<Params> {
    this.#count += 1;
    const id = this.#count;
    const message = { id, method, params, sessionId: this.#sessionId };
    const answer = await new Promise<Message>((resolve, reject) => {
      this.#answers.set(id, resolve);
      this.#process.once("exit", () => reject(new Error(`Chromium ended before ${method}`)));
      this.#input.write(`${JSON.stringify(message)}\0`);
    });
    if (answer.error !== undefined) {
      throw new Error(`${method}: ${answer.error.message}`);
    }
    return answer.result ?? {};
  }

  async open(url: string): Promise<void> {
    await this.send("Page.navigate", { url });
  }

  /** The value of an expression in the page. */
  async evaluate<T>(expression: string): Promise<T> {
    const { result, exceptionDetails } = await this.send("Runtime.evaluate", {
      ...{ expression, returnByValue: true, awaitPromise: true },
    });
    if (exceptionDetails !== undefined) {
      throw new Error(`${expression}: ${JSON.stringify(exceptionDetails)}`);
    }
    return (result as { value: T }).value;
  }

  async resize(width: number, height: number): Promise<void> {
    const size = { width, height, deviceScaleFactor: 1, mobile: false };
    await this.send("Emulation.setDeviceMetricsOverride", size);
  }

  async prefer(scheme: "light" | "dark"): Promise<void> {
    const features = [{ name: "prefers-color-scheme", value: scheme }];
    await this.send("Emulation.setEmulatedMedia", { features });
  }

  async press(key: string, code: number): Promise<void> {
    const common = { key, code: key, windowsVirtualKeyCode: code };
    const text = key === "Enter" ? { text: "\r" } : {};
    await this.send("Input.dispatchKeyEvent", { type: "keyDown", ...common, ...text });
    await this.send("Input.dispatchKeyEvent", { type: "keyUp", ...common });
  }

  /** A PNG of the whole page. */
  async screenshot(): Promise<Buffer> {
    const { data } = await this.send("Page.captureScreenshot", { captureBeyondViewport: true });
    return Buffer.from(String(data), "base64");
  }

  async close(): Promise<void> {
    const ended = once(this.#process, "exit");
    await this.send("Browser.close").catch(() => this.#process.kill("SIGKILL"));
    await ended;
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }

  #take({ id, method, params, ...message }: Message): void {
    if (id !== undefined) {
      this.#answers.get(id)?.({ ...message });
      this.#answers.delete(id);
    } else if (method === "Runtime.exceptionThrown" || method === "Log.entryAdded") {
      this.complaints.push(JSON.stringify(params));
    }
  }
}
