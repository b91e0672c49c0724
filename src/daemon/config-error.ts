/** Wrong usage or a wrong configuration file: exit status 2, nothing was started. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly code = "VNETD_CONFIG";
}
