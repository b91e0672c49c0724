// What libcrypto does to the process: its memory, its system calls.
#include "crypto/libcrypto.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "crypto/key-memory.h"
#include "crypto/open-key.h"
#include "crypto/seal-key.h"
#include "host/seccomp.h"
#include "test/check.h"

namespace vnetd {
namespace {

const bool kIsPrepared = !prepareLibcrypto().failed();

// The flags of the mapping an address lies in, as the kernel prints them ("rd wr mr mw me ac dd ").
std::string flagsOf(const void* address) {
  const auto wanted = reinterpret_cast<std::uintptr_t>(address);
  std::ifstream file("/proc/self/smaps");
  bool isInside = false;
  for (std::string line; std::getline(file, line);) {
    std::uintptr_t first = 0;
    std::uintptr_t end = 0;
    char dash = 0;
    std::istringstream text(line);
    if (text >> std::hex >> first >> dash >> end && dash == '-') {
      isInside = wanted >= first && wanted < end;
    }
    if (isInside && line.starts_with("VmFlags: ")) {
      return line.substr(9) + " ";
    }
  }
  return "";
}

bool isLeftOutOfDumps(const void* address) {
  return flagsOf(address).find("dd ") != std::string::npos;
}

// 0 when a packet of every suite was sealed with new keys and opened again.
int sealAndOpenAll() {
  for (std::uint8_t number = kFirstSuite; number <= kLastSuite; ++number) {
    const Suite suite = *suiteFromNumber(number);
    const std::vector<std::byte> material(suiteSizes(suite).keyBytes, std::byte{number});
    const std::vector<std::byte> frame(1'000, std::byte{1});
    std::vector<std::byte> packet(sealedFrameBytes(suite, frame.size()));
    auto sealKey = SealKey::make(suite, 0x10000001, material);
    auto openKey = OpenKey::make(suite, material);
    if (!sealKey || !openKey || sealKey->sealFrame(1, 0, frame, {}, packet) != packet.size()) {
      return 1;
    }
    std::vector<std::byte> forged = packet;
    forged.back() ^= std::byte{1};
    if (!std::holds_alternative<OpenDrop>(openKey->open(MutableByteSpan(forged))) ||
        !std::holds_alternative<OpenedPacket>(openKey->open(MutableByteSpan(packet)))) {
      return 2;
    }
  }
  return 0;
}

TEST("libcrypto can be prepared, and once more") {
  CHECK(kIsPrepared);
  CHECK(!prepareLibcrypto().failed());
}

TEST("libcrypto that somebody used before is refused: its memory would be the heap's") {
  const pid_t child = fork();
  if (child == 0) {
    // The only way back for a test: the allocator that libcrypto would have used.
    const bool isReset =
        CRYPTO_set_mem_functions(&CRYPTO_malloc, &CRYPTO_realloc, &CRYPTO_free) == 1;
    static_cast<void>(OPENSSL_malloc(1));
    _exit(isReset && prepareLibcrypto().failed() ? 0 : 1);
  }
  int status = 0;
  CHECK_EQ(waitpid(child, &status, 0), child);
  CHECK(WIFEXITED(status));
  CHECK_EQ(WEXITSTATUS(status), 0);
}

TEST("keys are made and used under the data plane's system call filter, in new threads too") {
  const pid_t child = fork();
  if (child == 0) {
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
      _exit(98);
    }
    // Threads exist before the filter does, as in the data plane, and use libcrypto only after it.
    std::array<int, 2> gate{-1, -1};
    if (pipe(gate.data()) != 0) {
      _exit(97);
    }
    int inThread = -1;
    std::thread worker([&] {
      char octet = 0;
      inThread = read(gate[0], &octet, 1) == 1 ? sealAndOpenAll() : 96;
    });
    if (restrictDataPlane(false).failed() || write(gate[1], "x", 1) != 1) {
      _exit(99);
    }
    worker.join();
    _exit(inThread != 0 ? 10 + inThread : sealAndOpenAll());
  }
  int status = 0;
  CHECK_EQ(waitpid(child, &status, 0), child);
  CHECK(WIFEXITED(status));
  CHECK_EQ(WEXITSTATUS(status), 0);
}

TEST("what libcrypto allocates, small and large, is left out of core dumps") {
  EVP_CIPHER_CTX* const context = EVP_CIPHER_CTX_new();
  CHECK(isLeftOutOfDumps(context));
  EVP_CIPHER_CTX_free(context);
  for (const std::size_t size : {1U, 16U, 100U, 5'000U, 32'752U, 32'753U, 1'000'000U}) {
    void* const block = OPENSSL_malloc(size);
    REQUIRE(block != nullptr);
    CHECK(isLeftOutOfDumps(block));
    CHECK(isLeftOutOfDumps(static_cast<std::byte*>(block) + size - 1));
    CHECK_EQ(reinterpret_cast<std::uintptr_t>(block) % 16, 0U);
    OPENSSL_free(block);
  }
  const std::vector<std::byte> ordinary(100);
  CHECK(!isLeftOutOfDumps(ordinary.data()));
}

TEST("a block that is given back is wiped, and what a grown one left behind is too") {
  constexpr std::size_t kBytes = 100;
  auto* const block = static_cast<unsigned char*>(takeKeyMemory(kBytes));
  REQUIRE(block != nullptr);
  std::memset(block, 'k', kBytes);
  giveBackKeyMemory(block);
  // The slab stays mapped; a free block's first octets are its place in the list.
  CHECK(std::all_of(block + sizeof(void*), block + kBytes, [](auto octet) { return octet == 0; }));

  auto* const small = static_cast<unsigned char*>(takeKeyMemory(kBytes));
  REQUIRE(small != nullptr);
  std::memset(small, 's', kBytes);
  auto* const grown = static_cast<unsigned char*>(resizeKeyMemory(small, 3 * kBytes));
  REQUIRE(grown != nullptr);
  CHECK(grown != small);
  CHECK(std::all_of(grown, grown + kBytes, [](auto octet) { return octet == 's'; }));
  CHECK(std::all_of(small + sizeof(void*), small + kBytes, [](auto octet) { return octet == 0; }));
  giveBackKeyMemory(grown);
}

TEST("sizes of nothing and of more than there is give nothing") {
  CHECK(takeKeyMemory(0) == nullptr);
  CHECK(takeKeyMemory(~std::size_t{0}) == nullptr);
  CHECK(takeKeyMemory(std::size_t{1} << 60U) == nullptr);
  giveBackKeyMemory(nullptr);
  void* const block = resizeKeyMemory(nullptr, 10);
  CHECK(block != nullptr);
  CHECK(resizeKeyMemory(block, ~std::size_t{0}) == nullptr);
  CHECK(resizeKeyMemory(block, 0) == nullptr);
}

TEST("blocks do not overlap, whoever takes them and gives them back") {
  constexpr std::size_t kThreadCount = 4;
  constexpr std::size_t kBlockCount = 500;
  std::array<std::vector<unsigned char*>, kThreadCount> taken;
  std::array<std::size_t, kThreadCount> spoilt{};
  const auto sizeOf = [](std::size_t i) { return 1 + i * 37 % 3'000; };
  const auto take = [&](std::size_t thread) {
    for (std::size_t i = 0; i < kBlockCount; ++i) {
      auto* const block = static_cast<unsigned char*>(takeKeyMemory(sizeOf(i)));
      std::memset(block, static_cast<int>(thread * 50 + i % 50), sizeOf(i));
      taken[thread].push_back(block);
    }
  };
  // Each gives back what its neighbour took.
  const auto giveBack = [&](std::size_t thread) {
    const std::size_t other = (thread + 1) % kThreadCount;
    for (std::size_t i = 0; i < kBlockCount; ++i) {
      unsigned char* const block = taken[other][i];
      spoilt[thread] += static_cast<std::size_t>(std::count_if(
          block, block + sizeOf(i), [&](auto octet) { return octet != other * 50 + i % 50; }));
      giveBackKeyMemory(block);
    }
  };
  for (int round = 0; round < 3; ++round) {
    for (const bool isTaking : {true, false}) {
      std::vector<std::thread> threads;
      for (std::size_t thread = 0; thread < kThreadCount; ++thread) {
        threads.emplace_back([&, thread] { isTaking ? take(thread) : giveBack(thread); });
      }
      for (std::thread& thread : threads) {
        thread.join();
      }
    }
    for (auto& blocks : taken) {
      blocks.clear();
    }
  }
  for (const std::size_t count : spoilt) {
    CHECK_EQ(count, 0U);
  }
}

// The whole of this process' undumped memory, searched.
bool keyMemoryHolds(const std::vector<std::byte>& needle) {
  std::ifstream file("/proc/self/smaps");
  std::uintptr_t first = 0;
  std::uintptr_t end = 0;
  for (std::string line; std::getline(file, line);) {
    std::uintptr_t begin = 0;
    std::uintptr_t stop = 0;
    char dash = 0;
    std::istringstream text(line);
    if (text >> std::hex >> begin >> dash >> stop && dash == '-') {
      first = begin;
      end = stop;
    }
    constexpr std::uintptr_t kLargestMapping = 64U << 20U;
    if (line.starts_with("VmFlags: rd wr") && line.find(" dd") != std::string::npos &&
        end - first <= kLargestMapping) {
      // NOLINTNEXTLINE(performance-no-int-to-ptr): the kernel prints addresses as numbers.
      const ByteSpan mapping(reinterpret_cast<const std::byte*>(first), end - first);
      if (!std::ranges::search(mapping, needle).empty()) {
        return true;
      }
    }
  }
  return false;
}

TEST("a key's schedule is in that memory while the key lives, and nowhere in it afterwards") {
  // An AES key schedule begins with the key itself.
  std::vector<std::byte> material(suiteSizes(Suite::kAes128Gcm).keyBytes);
  for (std::size_t i = 0; i < material.size(); ++i) {
    material[i] = static_cast<std::byte>(0x81 + i * 89);
  }
  const std::vector<std::byte> cipherKey(material.begin(), material.begin() + 16);
  auto key = SealKey::make(Suite::kAes128Gcm, 0x10000001, material);
  REQUIRE(key.has_value());
  CHECK(keyMemoryHolds(cipherKey));
  key.reset();
  CHECK(!keyMemoryHolds(cipherKey));
}

}  // namespace
}  // namespace vnetd

VNETD_TEST_MAIN()
