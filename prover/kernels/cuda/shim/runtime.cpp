// Runs a kernel of the shim: grid and blocks as loops, the threads of a block as fibers.
//
// A fiber gets a stack when it first runs and gives it back when it ends, so the threads of a kernel that never waits
// share one stack. Fibers wait at a block's barrier or in an exchange of their warp; when none can run, the barrier opens
// if every live thread is there, and otherwise the kernel is wrong and the launch says how.
//
// Who runs first is nobody's right: `Order` permutes blocks, the warps of a block and the lanes of a warp.
#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <numeric>
#include <string>
#include <vector>

// After the library's headers, which use words that it defines.
#include "shim.h"

#if defined(__x86_64__)
#define GELAP_SHIM_FAST_SWITCH 1
#else
#define GELAP_SHIM_FAST_SWITCH 0
#include <ucontext.h>
#endif

#if defined(__SANITIZE_ADDRESS__)
#define GELAP_SHIM_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define GELAP_SHIM_ASAN 1
#endif
#endif
#ifndef GELAP_SHIM_ASAN
#define GELAP_SHIM_ASAN 0
#endif
#if GELAP_SHIM_ASAN
#include <sanitizer/common_interface_defs.h>
#endif

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

#if GELAP_SHIM_FAST_SWITCH
extern "C" void gelap_shim_switch(void** save, void** resume);
// Keeps what the System V ABI lets a callee rely on, and exchanges stacks.
asm(R"(
.text
.hidden gelap_shim_switch
.globl gelap_shim_switch
.type gelap_shim_switch, @function
gelap_shim_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq (%rsi), %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
.size gelap_shim_switch, .-gelap_shim_switch
)");
#endif

// The linker's names for the ends of the section with static shared memory; null where a unit has none.
extern "C" __attribute__((weak, visibility("hidden"))) unsigned char __start_gelap_shared[], __stop_gelap_shared[];

namespace gelap_shim {

unsigned char* dynamic_shared;

namespace {

constexpr size_t STACK_BYTES = 256 << 10;
constexpr size_t GUARD_BYTES = 4 << 10;
constexpr uint32_t MAXIMUM_THREADS = 1024;
constexpr int MAXIMUM_ARGUMENTS = 32;

enum class State { fresh, ready, at_barrier, in_exchange, done };

#if GELAP_SHIM_FAST_SWITCH
typedef void* Context;
#else
typedef ucontext_t Context;
void gelap_shim_switch(Context* save, Context* resume) { swapcontext(save, resume); }
#endif

struct Fiber {
  State state;
  unsigned char* stack;
  Context context;
  uint3 index;
  uint32_t mask;
  uint64_t value;
  int line;
};

struct Warp {
  uint64_t slots[32];
  uint32_t lanes;
};

// 0: forward, 1: reverse, otherwise a new permutation each time, from the seed `order - 2`.
class Order {
 public:
  void start(uint64_t order) {
    order_ = order;
    random_ = order;
  }

  template <class Number>
  void permute(std::vector<Number>& numbers) {
    std::iota(numbers.begin(), numbers.end(), (Number)0);
    if (order_ == 1) std::reverse(numbers.begin(), numbers.end());
    if (order_ < 2) return;
    for (size_t left = numbers.size(); left > 1; left--) std::swap(numbers[left - 1], numbers[next() % left]);
  }

 private:
  // SplitMix64: G. Steele, D. Lea, C. Flood, "Fast splittable pseudorandom number generators", 2014.
  uint64_t next() {
    uint64_t z = random_ += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
  }

  uint64_t order_ = 0, random_ = 0;
};

std::mutex running;
std::vector<Fiber> fibers;
std::vector<Warp> warps;
Order order;
std::vector<uint32_t> warp_order, lane_order;
std::vector<unsigned char*> free_stacks;
Context scheduler;
#if GELAP_SHIM_ASAN
const void* scheduler_stack;
size_t scheduler_stack_bytes;
#endif
uint32_t current;
uint32_t barrier_count;
uint32_t exchanging;
std::string failure;

void* kernel;
uint64_t arguments[MAXIMUM_ARGUMENTS];
int argument_count;

// Integers and pointers travel in registers and eight-byte slots of the stack, and the caller clears the stack, so
// passing more than a kernel takes does no harm (System V ABI for x86-64, AAPCS64 on Linux).
void call_kernel() {
  const uint64_t* a = arguments;
#define EIGHT(i) a[i], a[i + 1], a[i + 2], a[i + 3], a[i + 4], a[i + 5], a[i + 6], a[i + 7]
  typedef uint64_t u;
  if (argument_count <= 8)
    reinterpret_cast<void (*)(u, u, u, u, u, u, u, u)>(kernel)(EIGHT(0));
  else if (argument_count <= 16)
    reinterpret_cast<void (*)(u, u, u, u, u, u, u, u, u, u, u, u, u, u, u, u)>(kernel)(EIGHT(0), EIGHT(8));
  else
    reinterpret_cast<void (*)(u, u, u, u, u, u, u, u, u, u, u, u, u, u, u, u, u, u, u, u, u, u, u, u, u, u, u, u, u, u,
                              u, u)>(kernel)(EIGHT(0), EIGHT(8), EIGHT(16), EIGHT(24));
#undef EIGHT
}

unsigned char* take_stack() {
  if (!free_stacks.empty()) {
    unsigned char* stack = free_stacks.back();
    free_stacks.pop_back();
    return stack;
  }
  void* stack = mmap(nullptr, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (stack == MAP_FAILED) return nullptr;
  mprotect(stack, GUARD_BYTES, PROT_NONE);
  return static_cast<unsigned char*>(stack);
}

void to_scheduler() {
#if GELAP_SHIM_ASAN
  void* fake_stack = nullptr;
  const bool ends = fibers[current].state == State::done;
  __sanitizer_start_switch_fiber(ends ? nullptr : &fake_stack, scheduler_stack, scheduler_stack_bytes);
#endif
  gelap_shim_switch(&fibers[current].context, &scheduler);
#if GELAP_SHIM_ASAN
  __sanitizer_finish_switch_fiber(fake_stack, &scheduler_stack, &scheduler_stack_bytes);
#endif
}

void fiber_main() {
#if GELAP_SHIM_ASAN
  __sanitizer_finish_switch_fiber(nullptr, &scheduler_stack, &scheduler_stack_bytes);
#endif
  call_kernel();
  fibers[current].state = State::done;
  to_scheduler();
  __builtin_unreachable();
}

bool start(Fiber& fiber) {
  fiber.stack = take_stack();
  if (fiber.stack == nullptr) {
    failure = "no memory for the stacks of a block's threads";
    return false;
  }
#if GELAP_SHIM_FAST_SWITCH
  // On entry of a function rsp is 8 below a multiple of 16: six registers, then the address that `ret` takes.
  uint64_t* top = reinterpret_cast<uint64_t*>(fiber.stack + STACK_BYTES) - 1;
  *top = 0;
  *--top = reinterpret_cast<uint64_t>(&fiber_main);
  top -= 6;
  for (int i = 0; i < 6; i++) top[i] = 0;
  fiber.context = top;
#else
  getcontext(&fiber.context);
  fiber.context.uc_stack.ss_sp = fiber.stack;
  fiber.context.uc_stack.ss_size = STACK_BYTES;
  fiber.context.uc_link = nullptr;
  makecontext(&fiber.context, fiber_main, 0);
#endif
  return true;
}

bool resume(uint32_t number) {
  Fiber& fiber = fibers[number];
  if (fiber.state == State::fresh && !start(fiber)) return false;
  fiber.state = State::ready;
  current = number;
  threadIdx = fiber.index;
#if GELAP_SHIM_ASAN
  void* fake_stack = nullptr;
  __sanitizer_start_switch_fiber(&fake_stack, fiber.stack, STACK_BYTES);
#endif
  gelap_shim_switch(&scheduler, &fiber.context);
#if GELAP_SHIM_ASAN
  __sanitizer_finish_switch_fiber(fake_stack, nullptr, nullptr);
#endif
  if (fiber.state == State::done) {
    free_stacks.push_back(fiber.stack);
    fiber.stack = nullptr;
  }
  return failure.empty();
}

std::string describe(uint32_t number) {
  const Fiber& fiber = fibers[number];
  char text[160];
  const char* what = fiber.state == State::done         ? "has ended"
                     : fiber.state == State::at_barrier ? "waits at a barrier"
                                                        : "waits for its warp";
  snprintf(text, sizeof text, "thread (%u, %u, %u) %s", fiber.index.x, fiber.index.y, fiber.index.z, what);
  std::string result = text;
  if (fiber.state != State::done) result += " in line " + std::to_string(fiber.line);
  return result;
}

// Complete the exchanges of a warp whose lanes have all come; whether any did.
bool complete_exchanges(uint32_t first, uint32_t end, Warp& warp) {
  // How many lanes of all warps wait; most kernels have none.
  if (exchanging == 0) return false;
  uint32_t live = 0, waiting = 0;
  for (uint32_t i = first; i < end; i++) {
    if (fibers[i].state != State::done) live |= 1u << (i - first);
    if (fibers[i].state == State::in_exchange) waiting |= 1u << (i - first);
  }
  bool progress = false;
  while (waiting) {
    const Fiber& leader = fibers[first + __builtin_ctz(waiting)];
    const uint32_t lanes = leader.mask & live;
    uint32_t together = 0;
    for (uint32_t i = first; i < end; i++)
      if (fibers[i].state == State::in_exchange && fibers[i].mask == leader.mask && fibers[i].line == leader.line)
        together |= 1u << (i - first);
    waiting &= ~together;
    if (together != lanes) continue;
    warp.lanes = lanes;
    for (uint32_t i = first; i < end; i++)
      if (lanes >> (i - first) & 1) {
        warp.slots[i - first] = fibers[i].value;
        fibers[i].state = State::ready;
        exchanging--;
      }
    // The lanes read the slots before the warp's next exchange, so only one is completed at a time.
    progress = true;
    break;
  }
  return progress;
}

bool run_lanes(uint32_t first, uint32_t end) {
  lane_order.resize(end - first);
  order.permute(lane_order);
  for (uint32_t lane : lane_order) {
    const State state = fibers[first + lane].state;
    if ((state == State::fresh || state == State::ready) && !resume(first + lane)) return false;
  }
  return true;
}

// Run all warps until none can go on.
bool run_warps() {
  const uint32_t count = (uint32_t)fibers.size();
  warp_order.resize(warps.size());
  bool progress;
  do {
    progress = false;
    order.permute(warp_order);
    for (uint32_t warp : warp_order) {
      const uint32_t first = 32 * warp, end = std::min(first + 32, count);
      if (!run_lanes(first, end)) return false;
      if (complete_exchanges(first, end, warps[warp])) progress = true;
    }
  } while (progress);
  return true;
}

// No thread can run: name one that waits, and one that waits for something else if there is one.
void report_deadlock() {
  const uint32_t count = (uint32_t)fibers.size();
  uint32_t first = 0;
  while (fibers[first].state == State::done) first++;
  uint32_t other = first;
  while (other < count && (fibers[other].state == State::done || (fibers[other].state == fibers[first].state &&
                                                                  fibers[other].line == fibers[first].line)))
    other++;
  failure = "threads that wait for each other have parted: " + describe(first);
  if (other < count) failure += ", " + describe(other);
}

bool run_block() {
  const uint32_t count = (uint32_t)fibers.size();
  exchanging = 0;
  for (uint32_t i = 0; i < count; i++) {
    fibers[i].state = State::fresh;
    fibers[i].index = {i % blockDim.x, i / blockDim.x % blockDim.y, i / blockDim.x / blockDim.y};
  }
  for (;;) {
    if (!run_warps()) return false;
    uint32_t waiting = 0, live = 0, votes = 0;
    bool together = true;
    int line = 0;
    for (uint32_t i = 0; i < count; i++) {
      if (fibers[i].state == State::done) continue;
      live++;
      if (fibers[i].state != State::at_barrier) continue;
      if (waiting++ == 0) line = fibers[i].line;
      together = together && fibers[i].line == line;
      votes += fibers[i].value != 0;
    }
    if (live == 0) return true;
    if (waiting != live || !together) {
      report_deadlock();
      return false;
    }
    barrier_count = votes;
    for (uint32_t i = 0; i < count; i++)
      if (fibers[i].state == State::at_barrier) fibers[i].state = State::ready;
  }
}

}  // namespace

Exchange exchange(uint32_t mask, uint64_t value, int line) {
  Fiber& fiber = fibers[current];
  const uint32_t self = current % 32;
  fiber.mask = mask;
  fiber.value = value;
  fiber.line = line;
  fiber.state = State::in_exchange;
  exchanging++;
  if (!(mask >> self & 1)) failure = "the mask leaves out the lane that calls: " + describe(current);
  to_scheduler();
  const Warp& warp = warps[current / 32];
  return {warp.slots, warp.lanes, self};
}

uint32_t barrier(bool value, int line) {
  Fiber& fiber = fibers[current];
  fiber.value = value;
  fiber.line = line;
  fiber.state = State::at_barrier;
  to_scheduler();
  return barrier_count;
}

}  // namespace gelap_shim

// Run `function` over the grid. Sizes are x, y, z; `arguments` are `count` slots of eight bytes. Returns null, or what
// is wrong with the kernel, valid until the next launch. `order`: see Order. Launches of one unit run one after another.
extern "C" __attribute__((visibility("default"))) const char* gelap_shim_launch(void* function, const uint32_t* grid,
                                                                                const uint32_t* block,
                                                                                size_t shared_bytes,
                                                                                const uint64_t* arguments, int count,
                                                                                uint64_t block_order) {
  using namespace gelap_shim;
  std::lock_guard<std::mutex> lock(running);
  failure.clear();
  const uint64_t threads = (uint64_t)block[0] * block[1] * block[2];
  if (threads == 0 || threads > MAXIMUM_THREADS || count < 0 || count > MAXIMUM_ARGUMENTS) {
    failure = "a block has 1 to 1024 threads, a kernel at most 32 arguments";
    return failure.c_str();
  }
  kernel = function;
  argument_count = count;
  for (int i = 0; i < MAXIMUM_ARGUMENTS; i++) gelap_shim::arguments[i] = i < count ? arguments[i] : 0;
  gridDim = {grid[0], grid[1], grid[2]};
  blockDim = {block[0], block[1], block[2]};
  fibers.assign(threads, Fiber());
  warps.assign((threads + 31) / 32, Warp());
  // Of the exact size, so that a sanitizer sees an access beyond it.
  void* shared = nullptr;
  if (shared_bytes && posix_memalign(&shared, 16, shared_bytes) != 0) {
    failure = "no memory for a block's shared memory";
    return failure.c_str();
  }
  dynamic_shared = static_cast<unsigned char*>(shared);
  order.start(block_order);
  std::vector<uint64_t> blocks((uint64_t)grid[0] * grid[1] * grid[2]);
  order.permute(blocks);
  const size_t static_shared = __start_gelap_shared ? __stop_gelap_shared - __start_gelap_shared : 0;
  bool good = true;
  for (uint64_t number : blocks) {
    blockIdx = {(uint32_t)(number % grid[0]), (uint32_t)(number / grid[0] % grid[1]),
                (uint32_t)(number / grid[0] / grid[1])};
    if (static_shared) memset(__start_gelap_shared, 0xa5, static_shared);
    if (shared_bytes) memset(shared, 0xa5, shared_bytes);
    good = run_block();
    if (!good) break;
  }
  // The threads of a failed block never end: their stacks are used again as they are.
  for (Fiber& fiber : fibers)
    if (fiber.stack != nullptr) free_stacks.push_back(fiber.stack);
  dynamic_shared = nullptr;
  free(shared);
  if (!good) {
    char place[80];
    snprintf(place, sizeof place, " (block %u, %u, %u)", blockIdx.x, blockIdx.y, blockIdx.z);
    failure += place;
  }
  return good ? nullptr : failure.c_str();
}
