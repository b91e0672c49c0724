import { FakeHost } from "../fakes/fake-host.ts";
import { describeIproute2Contract } from "./iproute2-contract.ts";

describeIproute2Contract(
  "the fake host",
  async () => {
    const host = new FakeHost();
    host.addCard("u0", "10.9.0.1");
    host.defaultDevice = "u0";
    return { run: host.run, close: async () => {} };
  },
  { skip: false },
);
