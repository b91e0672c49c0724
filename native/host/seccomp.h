// The system calls that are left after start. Anything else kills the process: a hijacked data
// plane must not be able to open a file, make a socket, start a program or trace another one.
#pragma once

#include "host/failure.h"

namespace vnetd {

// For the data plane, all its threads (they exist already, so that clone can be forbidden).
// `mayOpenDevices`: there is no opener, /dev/net/tun has to be opened by this process.
Failure restrictDataPlane(bool mayOpenDevices);

// For the opener: it opens, passes descriptors, unlinks two files and exits.
Failure restrictOpener();

}  // namespace vnetd
