#include "wire/esp.h"

#include <array>
#include <cstdint>
#include <string>

#include "test/check.h"
#include "test/vector-table.h"
#include "wire/bytes.h"
#include "wire/legacy.h"

namespace vnetd {
namespace {

using test::parseHex;

struct Row {
  const char* payload;
  DatagramKind kind;
};

// Both sides of each border of the table.
constexpr std::array kRows{
    Row{"-", DatagramKind::kShort},
    Row{"ff", DatagramKind::kKeepalive},
    Row{"fe", DatagramKind::kShort},
    Row{"ffff", DatagramKind::kShort},
    Row{"00000000564e43", DatagramKind::kShort},
    Row{"00000000564e4331", DatagramKind::kVnc1},
    Row{"00000000564e4332", DatagramKind::kUnknown},
    Row{"0000000100000000", DatagramKind::kUnknown},
    Row{"000000ff00000000", DatagramKind::kUnknown},
    Row{"0000010000000000", DatagramKind::kUnknown},
    Row{"0000ffff00000000", DatagramKind::kUnknown},
    Row{"0001000000000000", DatagramKind::kLegacy},
    Row{"0002000000000000", DatagramKind::kLegacy},
    Row{"0003ffff00000000", DatagramKind::kLegacy},
    Row{"0004000000000000", DatagramKind::kUnknown},
    Row{"0fffffff00000000", DatagramKind::kUnknown},
    Row{"1000000000000000", DatagramKind::kGroupEsp},
    Row{"7fffffff00000000", DatagramKind::kGroupEsp},
    Row{"8000000000000000", DatagramKind::kPairwiseEsp},
    Row{"fffffffe00000000", DatagramKind::kPairwiseEsp},
    Row{"ffffffff00000000", DatagramKind::kUnknown},
};

TEST("a datagram is told by its length and first octets") {
  for (const Row& row : kRows) {
    if (classifyDatagram(parseHex(row.payload)) != row.kind) {
      test::reportFailure(__FILE__, __LINE__, row.payload);
    }
  }
}

TEST("what a forwarder passes on unread is just ESP and VNC1") {
  for (const Row& row : kRows) {
    const bool isSecure = row.kind == DatagramKind::kVnc1 || row.kind == DatagramKind::kGroupEsp ||
                          row.kind == DatagramKind::kPairwiseEsp;
    CHECK_EQ(isSecureMessage(parseHex(row.payload)), isSecure);
  }
}

TEST("SPI and Seq are the first two words") {
  const EspHeader header = decodeEspHeader(parseHex("1234567889abcdef"));
  CHECK_EQ(header.spi, 0x12345678U);
  CHECK_EQ(header.sequence, 0x89ABCDEFU);
}

}  // namespace
}  // namespace vnetd

VNETD_TEST_MAIN()
