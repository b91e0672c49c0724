// The memory of libcrypto: left out of core dumps, wiped when it is given back.
//
// libcrypto keeps key schedules and keyed digest states wherever its allocator puts them, so the
// allocator is ours. Blocks are cut to powers of two from slabs that the kernel does not dump.
// Each thread keeps some free blocks of each size: HMAC takes and gives back a few small ones for
// every packet, and the directions share no lock for that.
#pragma once

#include <cstddef>

namespace vnetd {

// Makes libcrypto use it, for good. False when libcrypto has allocated something already: call it
// first.
[[nodiscard]] bool useKeyMemory();

// As malloc, realloc and free; null when there is no memory or `size` is 0. Exact for any thread:
// a block may be given back by another one than took it.
[[nodiscard]] void* takeKeyMemory(std::size_t size);
[[nodiscard]] void* resizeKeyMemory(void* block, std::size_t size);
void giveBackKeyMemory(void* block);

}  // namespace vnetd
