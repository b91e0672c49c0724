import { type RunProgram, runProgram } from "../../src/host/child.ts";
import { describeIproute2Contract } from "../host/iproute2-contract.ts";
import { Lab, SKIP_REASON } from "./lab.ts";

describeIproute2Contract(
  "the kernel",
  async () => {
    const lab = await Lab.create();
    const namespace = await lab.namespace("links");
    await lab.batch(namespace, [
      "link add name u0 type veth peer name u1",
      "addr add 10.9.0.1/24 dev u0",
      "link set dev u1 up",
      "link set dev u0 up",
      "route add default via 10.9.0.254 dev u0",
    ]);
    const run: RunProgram = (request) =>
      runProgram({
        ...request,
        program: "ip",
        args: ["netns", "exec", namespace, request.program, ...request.args],
      });
    return { run, close: () => lab.close() };
  },
  { skip: SKIP_REASON },
);
