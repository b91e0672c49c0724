#include "crypto/key-memory.h"

#include <openssl/crypto.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>
#include <mutex>

namespace vnetd {
namespace {

// What stands before each block; keeps the block aligned as malloc's are.
struct alignas(16) Header {
  // With the header. A power of two up to kLargestBytes, or the octets of a mapping of its own.
  std::size_t totalBytes;
};

// In the place of a free block's contents.
struct FreeBlock {
  FreeBlock* next;
};

constexpr std::size_t kSmallestBytes = 32;
constexpr std::size_t kLargestBytes = 32'768;
constexpr std::size_t kSlabBytes = 262'144;
constexpr std::size_t kPageBytes = 4'096;
constexpr std::size_t kClassCount = std::bit_width(kLargestBytes / kSmallestBytes);
// A thread that gives back more than it takes hands the rest to the others.
constexpr std::size_t kKeptPerThread = 32;

static_assert(kSmallestBytes >= sizeof(Header) + sizeof(FreeBlock));

constexpr std::size_t classOf(std::size_t totalBytes) {
  return static_cast<std::size_t>(std::bit_width(totalBytes / kSmallestBytes)) - 1;
}

class FreeList {
 public:
  void push(void* memory) {
    auto* const block = static_cast<FreeBlock*>(memory);
    block->next = first_;
    first_ = block;
    ++count_;
  }

  [[nodiscard]] void* pop() {
    FreeBlock* const block = first_;
    if (block != nullptr) {
      first_ = block->next;
      block->next = nullptr;
      --count_;
    }
    return block;
  }

  [[nodiscard]] std::size_t count() const { return count_; }

 private:
  FreeBlock* first_ = nullptr;
  std::size_t count_ = 0;
};

using FreeLists = std::array<FreeList, kClassCount>;

// Under the lock. Never destroyed: libcrypto frees until the process has ended.
struct Shared {
  std::mutex lock;
  FreeLists free;
  std::byte* slab = nullptr;
  std::size_t slabBytesLeft = 0;
};
// NOLINTNEXTLINE(cppcoreguidelines-avoid-non-const-global-variables): malloc's state is global too.
constinit Shared shared;

void* mapUndumped(std::size_t bytes) {
  void* const memory =
      ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    return nullptr;
  }
  if (::madvise(memory, bytes, MADV_DONTDUMP) != 0) {
    ::munmap(memory, bytes);
    return nullptr;
  }
  return memory;
}

// A block nobody has had, behind its header; null when there is no memory.
void* cut(std::size_t totalBytes) {
  if (shared.slabBytesLeft < totalBytes) {
    // What is left of the old slab is less than this block, and stays unused.
    void* const slab = mapUndumped(kSlabBytes);
    if (slab == nullptr) {
      return nullptr;
    }
    shared.slab = static_cast<std::byte*>(slab);
    shared.slabBytesLeft = kSlabBytes;
  }
  std::byte* const at = shared.slab;
  shared.slab += totalBytes;
  shared.slabBytesLeft -= totalBytes;
  reinterpret_cast<Header*>(at)->totalBytes = totalBytes;
  return at + sizeof(Header);
}

void* takeShared(std::size_t totalBytes) {
  const std::scoped_lock guard(shared.lock);
  void* const block = shared.free[classOf(totalBytes)].pop();
  return block != nullptr ? block : cut(totalBytes);
}

void giveBackShared(void* block, std::size_t totalBytes) {
  const std::scoped_lock guard(shared.lock);
  shared.free[classOf(totalBytes)].push(block);
}

// libcrypto frees a thread's own things after the thread's C++ objects are gone.
// NOLINTNEXTLINE(cppcoreguidelines-avoid-non-const-global-variables): a thread's state, as above.
thread_local bool isThreadEnding = false;

// One thread's free blocks; the others get them when it ends.
class ThreadBlocks {
 public:
  ThreadBlocks() = default;
  ThreadBlocks(const ThreadBlocks&) = delete;
  ThreadBlocks& operator=(const ThreadBlocks&) = delete;
  ThreadBlocks(ThreadBlocks&&) = delete;
  ThreadBlocks& operator=(ThreadBlocks&&) = delete;

  ~ThreadBlocks() {
    isThreadEnding = true;
    const std::scoped_lock guard(shared.lock);
    for (std::size_t i = 0; i < kClassCount; ++i) {
      while (void* const block = free_[i].pop()) {
        shared.free[i].push(block);
      }
    }
  }

  [[nodiscard]] FreeList& of(std::size_t totalBytes) { return free_[classOf(totalBytes)]; }

 private:
  FreeLists free_;
};

ThreadBlocks& threadBlocks() {
  thread_local ThreadBlocks blocks;
  return blocks;
}

void* takeLarge(std::size_t size) {
  if (size > std::numeric_limits<std::size_t>::max() / 2) {
    return nullptr;
  }
  const std::size_t totalBytes = (sizeof(Header) + size + kPageBytes - 1) / kPageBytes * kPageBytes;
  auto* const header = static_cast<Header*>(mapUndumped(totalBytes));
  if (header == nullptr) {
    return nullptr;
  }
  header->totalBytes = totalBytes;
  return header + 1;
}

Header* headerOf(void* block) { return static_cast<Header*>(block) - 1; }

// The shapes libcrypto wants; file and line are for its own leak reports.
void* allocate(std::size_t size, const char* /*file*/, int /*line*/) { return takeKeyMemory(size); }
void* reallocate(void* block, std::size_t size, const char* /*file*/, int /*line*/) {
  return resizeKeyMemory(block, size);
}
void release(void* block, const char* /*file*/, int /*line*/) { giveBackKeyMemory(block); }

}  // namespace

bool useKeyMemory() { return CRYPTO_set_mem_functions(allocate, reallocate, release) == 1; }

void* takeKeyMemory(std::size_t size) {
  if (size == 0) {
    return nullptr;
  }
  if (size > kLargestBytes - sizeof(Header)) {
    return takeLarge(size);
  }
  const std::size_t totalBytes = std::max(kSmallestBytes, std::bit_ceil(sizeof(Header) + size));
  if (isThreadEnding) {
    return takeShared(totalBytes);
  }
  void* const block = threadBlocks().of(totalBytes).pop();
  return block != nullptr ? block : takeShared(totalBytes);
}

void* resizeKeyMemory(void* block, std::size_t size) {
  if (block == nullptr || size == 0) {
    giveBackKeyMemory(block);
    return takeKeyMemory(size);
  }
  void* const moved = takeKeyMemory(size);
  if (moved != nullptr) {
    std::memcpy(moved, block, std::min(size, headerOf(block)->totalBytes - sizeof(Header)));
    giveBackKeyMemory(block);
  }
  return moved;
}

void giveBackKeyMemory(void* block) {
  if (block == nullptr) {
    return;
  }
  const std::size_t totalBytes = headerOf(block)->totalBytes;
  ::explicit_bzero(block, totalBytes - sizeof(Header));
  if (totalBytes > kLargestBytes) {
    ::munmap(headerOf(block), totalBytes);
    return;
  }
  if (isThreadEnding || threadBlocks().of(totalBytes).count() >= kKeptPerThread) {
    giveBackShared(block, totalBytes);
    return;
  }
  threadBlocks().of(totalBytes).push(block);
}

}  // namespace vnetd
