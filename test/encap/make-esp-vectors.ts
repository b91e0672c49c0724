/** Writes test/vectors/esp.tsv to standard output. */
import { makeEspTable } from "./esp-vectors.ts";

process.stdout.write(makeEspTable());
