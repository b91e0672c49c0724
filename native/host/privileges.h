// Giving up privileges, for good: user, groups, capabilities, new privileges, core dumps.
#pragma once

#include <sys/types.h>

#include <string>

#include "host/failure.h"

namespace vnetd {

struct UserIds {
  uid_t user = 0;
  gid_t group = 0;
};

// The user to run as. `name` empty: vnetd-dp where it exists, else nobody. Reads the user
// database, so it has to be called while files can still be opened.
Failure findUser(const std::string& name, UserIds& ids);

// Raises the limit of open files to what 1,000s of vnets need, and forbids core dumps (they
// would hold guests' frames and keys).
void setResourceLimits();

// Becomes `ids` when run as root; in any case ends with no capability in any set, no way to
// gain one, and no debugger. Must be called before threads exist: capabilities are per thread.
Failure dropPrivileges(const UserIds& ids);

// The opener's share: keeps uid 0 (it owns /dev/net/tun) but no capability.
Failure dropCapabilities();

}  // namespace vnetd
