// The control socket and the pid file: made before the privileges go, and never in the way of
// the next start, however this one ends.
#pragma once

#include <string>

#include "host/failure.h"
#include "host/file-descriptor.h"

namespace vnetd {

// Opens, locks and fills the pid file. The lock, not the content, says that a vnet-dp runs: it
// ends with the process. Waits up to half a second for a predecessor that is just ending.
Failure lockPidFile(const std::string& path, FileDescriptor& file);

// A listening Unix stream socket, mode 0600. A socket file that nothing answers on is replaced;
// one that answers is another vnet-dp, and an error.
Failure listenOn(const std::string& path, FileDescriptor& listener);

}  // namespace vnetd
