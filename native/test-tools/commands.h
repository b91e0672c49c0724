// The commands of vnet-frames, one file each; vnet-frames.cc says what they are for.
#pragma once

#include "options.h"

namespace vnetd {

int runFrames(const Options& options);
int runDatagrams(const Options& options);
int runPackets(const Options& options);
int runRelay(const Options& options);
int runUdpSend(const Options& options);
int runUdpSink(const Options& options);
int runGarbage(const Options& options);
int runPacketLoad(const Options& options);

}  // namespace vnetd
