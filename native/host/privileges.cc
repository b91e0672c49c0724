#include "host/privileges.h"

#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>

namespace vnetd {
namespace {

constexpr rlim_t kOpenFilesWanted = 262'144;
constexpr rlim_t kOpenFilesNeeded = 65'536;

Failure emptyCapabilitySets() {
  // Version 3 is two 32-bit halves for each set; all zero is the empty set.
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> none{};
  if (syscall(SYS_capset, &header, none.data()) != 0) {
    return failureOf("Cannot drop the capabilities");
  }
  return noFailure();
}

Failure forbidNewPrivileges() {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return failureOf("Cannot set no_new_privs");
  }
  return noFailure();
}

// The bounding set can only be lowered with CAP_SETPCAP, so this comes before the rest. A
// process that never had it has nothing to bound.
void emptyBoundingSet() {
  for (unsigned long capability = 0; capability <= 63; ++capability) {
    if (prctl(PR_CAPBSET_READ, capability, 0, 0, 0) != 1) {
      continue;
    }
    prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
  }
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
}

Failure becomeUser(const UserIds& ids) {
  if (setgroups(0, nullptr) != 0) {
    return failureOf("Cannot drop the supplementary groups");
  }
  if (setresgid(ids.group, ids.group, ids.group) != 0) {
    return failureOf("Cannot become group " + std::to_string(ids.group));
  }
  if (setresuid(ids.user, ids.user, ids.user) != 0) {
    return failureOf("Cannot become user " + std::to_string(ids.user));
  }
  return noFailure();
}

}  // namespace

Failure findUser(const std::string& name, UserIds& ids) {
  const std::array<const char*, 2> usual{"vnetd-dp", "nobody"};
  if (name.empty()) {
    for (const char* candidate : usual) {
      // NOLINTNEXTLINE(concurrency-mt-unsafe): no thread exists yet.
      const passwd* const entry = getpwnam(candidate);
      if (entry != nullptr) {
        ids = {.user = entry->pw_uid, .group = entry->pw_gid};
        return noFailure();
      }
    }
    return {.error = ENOENT,
            .message = "There is neither a user vnetd-dp nor nobody; name one with --user"};
  }
  // NOLINTNEXTLINE(concurrency-mt-unsafe): no thread exists yet.
  const passwd* const entry = getpwnam(name.c_str());
  if (entry == nullptr) {
    return {.error = ENOENT, .message = "There is no user \"" + name + "\""};
  }
  if (entry->pw_uid == 0) {
    return {.error = EPERM,
            .message = "vnet-dp does not run as root; name another user with --user"};
  }
  ids = {.user = entry->pw_uid, .group = entry->pw_gid};
  return noFailure();
}

void setResourceLimits() {
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    for (const rlim_t wanted : {kOpenFilesWanted, kOpenFilesNeeded}) {
      const rlimit raised{.rlim_cur = wanted, .rlim_max = std::max(wanted, files.rlim_max)};
      if (setrlimit(RLIMIT_NOFILE, &raised) == 0) {
        break;
      }
      // Without CAP_SYS_RESOURCE the hard limit is what there is.
      const rlimit allowed{.rlim_cur = files.rlim_max, .rlim_max = files.rlim_max};
      setrlimit(RLIMIT_NOFILE, &allowed);
    }
  }
  const rlimit noCore{.rlim_cur = 0, .rlim_max = 0};
  setrlimit(RLIMIT_CORE, &noCore);
}

Failure dropPrivileges(const UserIds& ids) {
  emptyBoundingSet();
  if (geteuid() == 0) {
    if (Failure failure = becomeUser(ids); failure.failed()) {
      return failure;
    }
  }
  if (Failure failure = emptyCapabilitySets(); failure.failed()) {
    return failure;
  }
  if (Failure failure = forbidNewPrivileges(); failure.failed()) {
    return failure;
  }
  // After setuid, which would set it again: nobody may attach to us or read our memory.
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
    return failureOf("Cannot forbid debuggers");
  }
  return noFailure();
}

Failure dropCapabilities() {
  emptyBoundingSet();
  if (Failure failure = emptyCapabilitySets(); failure.failed()) {
    return failure;
  }
  return forbidNewPrivileges();
}

}  // namespace vnetd
