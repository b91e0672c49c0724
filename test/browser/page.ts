/**
 * The status page in a real Chromium, on a host with something wrong. Not among the default
 * stages, because the browser is large: scripts/stages/browser.
 *
 *     host a (Chromium, vnetd --status-page) ── u1 ── segment ── u1 ── host b
 */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Lab, SKIP_REASON } from "../netns/lab.ts";
import { Host } from "../netns/lab-host.ts";
import { eventually } from "../netns/wait.ts";
import { Chromium } from "./chromium.ts";

const URL = "http://127.0.0.1:9798/";
const TAB = 9;
const ENTER = 13;
/** A kernel takes it as a device's name, a browser must not take it as markup. */
const HOSTILE_PORT = "<b>x</b>";

describe("the status page in Chromium", { skip: SKIP_REASON }, () => {
  let lab: Lab;
  let host: Host;
  let browser: Chromium;

  before(async () => {
    lab = await Lab.create();
    const segment = await lab.segment();
    host = await Host.create(lab, "a", [segment]);
    const other = await Host.create(lab, "b", [segment]);
    await host.start("--metrics", "127.0.0.1:9798", "--status-page");
    await other.start();
    for (const [one, key] of [
      [host, join(lab.folder, "one.key")],
      [other, join(lab.folder, "other.key")],
    ] as const) {
      await one.vn("key-generate", key);
      await one.vnet("10");
      await one.vnet("30", "-s", "conf", "--key-file", key);
    }
    await host.vm("10", { address: "192.168.10.1/24" });
    await lab.batch(host.namespace, [
      `link add name ${HOSTILE_PORT.replace("/", "")} type veth peer name other0`,
      `link set ${HOSTILE_PORT.replace("/", "")} master vnet0010 up`,
    ]);
    browser = await Chromium.start(host.namespace);
    await browser.open(URL);
  });
  after(async () => {
    await browser?.close();
    await lab?.close();
  });

  const textOf = (id: string): Promise<string> =>
    browser.evaluate<string>(`document.getElementById(${JSON.stringify(id)}).innerText`);

  test("goes live, with the vnets, and what is wrong with the other host", async () => {
    await eventually("it is live", async () => (await textOf("connection")) === "Live.");
    assert.match(await textOf("vnets"), /10\s+up[\s\S]*30\s+up/);
    await eventually("the other host has another key", async () =>
      /key mismatch in vnet 30/.test(await textOf("problems")),
    );
    assert.match(await textOf("vifs"), /<b>x<b>/);
    assert.equal(await browser.evaluate("document.querySelectorAll('#vifs b').length"), 0);
  });

  test("changes what differs only: focus stays where it is", async () => {
    const focus = "document.querySelector('#vnets tr[id]')";
    await browser.evaluate(`${focus}.focus(); window.kept = document.activeElement; true`);
    const rates = await textOf("host");
    await eventually("something has changed", async () => (await textOf("host")) !== rates, 90_000);
    assert.equal(await browser.evaluate("document.activeElement === window.kept"), true);
  });

  test("is used with the keyboard alone: from a problem to its row", async () => {
    await browser.open(URL);
    await eventually("it is live", async () => (await textOf("connection")) === "Live.");
    await eventually("a problem is there", async () =>
      /key mismatch/.test(await textOf("problems")),
    );
    await browser.press("Tab", TAB);
    const target = await browser.evaluate<string>("document.activeElement.getAttribute('href')");
    assert.match(target, /^#/);
    await browser.press("Enter", ENTER);
    await eventually("the row is the target", () =>
      browser.evaluate<boolean>(
        `document.querySelector(":target")?.id === ${JSON.stringify(target.slice(1))}`,
      ),
    );
  });

  for (const [width, picture] of [
    [1400, "wide"],
    [400, "narrow"],
  ] as const) {
    test(`fits ${width} pixels, light and dark`, async () => {
      await browser.resize(width, 900);
      const shades = new Set<string>();
      for (const scheme of ["light", "dark"] as const) {
        await browser.prefer(scheme);
        shades.add(await browser.evaluate("getComputedStyle(document.body).backgroundColor"));
        const folder = process.env["VNETD_SCREENSHOTS"];
        if (folder !== undefined) {
          writeFileSync(join(folder, `${picture}-${scheme}.png`), await browser.screenshot());
        }
      }
      assert.equal(shades.size, 2);
      assert.equal(
        await browser.evaluate("document.documentElement.scrollWidth <= innerWidth"),
        true,
      );
      const shown = `getComputedStyle(document.querySelector("svg.${picture}")).display`;
      assert.equal(await browser.evaluate(shown), "block");
    });
  }

  test("the policy lets nothing in, and nothing had to be kept out", async () => {
    assert.deepEqual(browser.complaints, []);
    await browser.evaluate(`document.body.insertAdjacentHTML("beforeend",
      '<img src="http://127.0.0.1:9798/metrics" onerror="window.hacked = 1">'), true`);
    await eventually("it was refused", () => browser.complaints.length > 0);
    assert.match(browser.complaints.join(), /Content Security Policy/);
    assert.equal(await browser.evaluate("window.hacked"), undefined);
  });

  test("says that the daemon is gone, and goes on when it is back", async () => {
    await host.stop();
    await eventually("it says so", async () => /No answer/.test(await textOf("connection")));
    await host.start("--metrics", "127.0.0.1:9798", "--status-page");
    await eventually(
      "it is live again",
      async () => (await textOf("connection")) === "Live.",
      20_000,
    );
  });
});
