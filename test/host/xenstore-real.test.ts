/** The contract on the real xenstored of Debian's Xen. */
import { PrivateXenstored, xenstoredIsMissing } from "./private-xenstored.ts";
import { describeXenstoreContract } from "./xenstore-contract.ts";

describeXenstoreContract("the real xenstored", () => PrivateXenstored.start(), {
  skip: xenstoredIsMissing(),
});
