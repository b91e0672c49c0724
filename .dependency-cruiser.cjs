// The import arrows of docs/ARCHITECTURE.md (column "may import"), enforced.
const MAY_IMPORT = {
  net: [],
  encap: ["net"],
  vnet: ["net", "encap"],
  openflow: ["net"],
  vifrules: ["net", "openflow"],
  host: ["net", "openflow"],
  dataplane: ["net", "vnet"],
  metadata: ["net", "vnet", "vifrules", "host"],
  control: ["net", "vnet", "vifrules"],
  page: ["net", "control"],
  doctor: ["net", "vnet", "host", "control"],
  cli: ["net", "vnet", "vifrules", "control", "doctor"],
  daemon: [
    "net",
    "encap",
    "vnet",
    "openflow",
    "vifrules",
    "host",
    "dataplane",
    "metadata",
    "control",
    "page",
  ],
};

const arrows = Object.entries(MAY_IMPORT).map(([folder, others]) => ({
  name: `${folder}-imports`,
  severity: "error",
  from: { path: `^src/${folder}/` },
  to: { path: "^src/", pathNot: `^src/(${[folder, ...others].join("|")})/` },
}));

module.exports = {
  forbidden: [
    ...arrows,
    {
      name: "folder-has-no-rule",
      severity: "error",
      from: { path: "^src/", pathNot: `^src/(${Object.keys(MAY_IMPORT).join("|")})/` },
      to: {},
    },
    {
      // node:net is there for isIP alone; biome's denied globals keep the rest of the machine out.
      name: "net-is-pure",
      severity: "error",
      from: { path: "^src/net/" },
      to: { dependencyTypes: ["core", "npm"], pathNot: "^(node:)?net$" },
    },
    {
      name: "core-is-pure",
      severity: "error",
      from: { path: "^src/(encap|vnet|openflow|vifrules)/" },
      to: { dependencyTypes: ["core", "npm"] },
    },
    { name: "no-cycles", severity: "error", from: {}, to: { circular: true } },
    { name: "src-not-test", severity: "error", from: { path: "^src/" }, to: { path: "^test/" } },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
  },
};
