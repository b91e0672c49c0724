// Do the offloads work here? Version numbers do not say: vendors' kernels and some drivers refuse
// what they advertise. So frames and datagrams are really sent once, in a network namespace of a
// child process that nobody else sees.
#pragma once

#include <string>
#include <vector>

namespace vnetd {

struct OffloadSupport {
  bool tapTcp = true;
  bool tapUdp = true;
  bool udpSegmentation = true;
  bool udpCoalescing = true;
  // What was found not to work, or could not be tried; for the log.
  std::vector<std::string> notes;
};

// Takes some milliseconds, at most two seconds. Where no namespace may be made (that needs
// CAP_SYS_ADMIN), everything is supposed to work: it is switched off at the first refusal.
OffloadSupport testOffloads();

}  // namespace vnetd
