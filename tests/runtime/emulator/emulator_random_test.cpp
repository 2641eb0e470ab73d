// Random device code without collectives, on the emulator and thread by thread: what each thread does depends on itself
// alone, so a walk of the tree with eval_scalar is its meaning. Finds mistakes in flattening: places given out twice,
// updates written too early, masks.
#include <map>
#include <random>

#include "catch.h"
#include "emulator_support.h"
#include "ir/base/at.h"
#include "ir/ops/sum_order.h"

using namespace weft;
using simt::Function, simt::Inst, simt::Region, simt::RegisterId;
using test::SimtBuilder;

namespace {

constexpr int kThreads = 64, kBlocks = 2, kStores = 4;

/// One thread, run by walking the tree.
class Thread {
 public:
  Thread(const Function& f, std::vector<Array*> memories, int block, int thread)
      : f_(f), memories_(std::move(memories)), block_(block), thread_(thread), values_(f.types.size()) {
    walk(f.body);
  }

 private:
  std::int64_t integer(RegisterId v) const {
    return f_.type(v) == i32 ? from_scalar_bits<std::int32_t>(at(values_, v))
                             : static_cast<std::int64_t>(at(values_, v));
  }
  static std::uint64_t number(DType t, std::int64_t x) {
    return t == i32 ? to_scalar_bits(static_cast<std::int32_t>(x)) : static_cast<std::uint64_t>(x);
  }
  bool truth(RegisterId v) const { return v == kNone || at(values_, v) != 0; }
  std::byte* element(const Inst& inst, int k) {
    Array& a = *at(memories_, inst.memory);
    return a.data() + static_cast<std::size_t>(integer(inst.args[0]) + k) * size_of(a.dtype());
  }
  void walk(const Region& region) {
    for (const Inst& inst : region.insts) step(inst);
  }
  void step(const Inst& inst) {
    const std::size_t size = size_of(inst.dtype);
    switch (inst.kind) {
      case Inst::constant: at(values_, inst.result) = inst.bits; break;
      case Inst::thread: at(values_, inst.result) = number(i32, thread_); break;
      case Inst::block: at(values_, inst.result) = number(i32, block_); break;
      case Inst::apply: {
        std::vector<std::uint64_t> args;
        for (RegisterId v : inst.args) args.push_back(at(values_, v));
        at(values_, inst.result) = eval_scalar(inst.op, f_.type(inst.args.back()), inst.dtype, args.data());
        break;
      }
      case Inst::load:
        for (int k = 0; k < inst.width; ++k) {
          at(values_, inst.result + k) = 0;
          if (truth(inst.predicate)) std::memcpy(&at(values_, inst.result + k), element(inst, k), size);
        }
        break;
      case Inst::store:
        for (int k = 0; k < inst.width && truth(inst.predicate); ++k)
          std::memcpy(element(inst, k), &at(values_, inst.args[static_cast<std::size_t>(k) + 1]), size);
        break;
      case Inst::variable: at(values_, inst.result) = at(values_, inst.args[0]); break;
      case Inst::set: at(values_, inst.args[0]) = at(values_, inst.args[1]); break;
      case Inst::loop:
        for (std::int64_t i = integer(inst.args[0]); i < integer(inst.args[1]);
             i += static_cast<std::int64_t>(inst.bits)) {
          at(values_, inst.result) = number(inst.dtype, i);
          walk(*inst.body);
        }
        break;
      case Inst::when:
        if (truth(inst.args[0])) walk(*inst.body);
        break;
      default: ensure(false, "a collective");
    }
  }

  const Function& f_;
  std::vector<Array*> memories_;
  int block_, thread_;
  std::vector<std::uint64_t> values_;
};

/// A function of nested loops and conditions over a pool of visible values, some of them variables.
class RandomFunction {
 public:
  explicit RandomFunction(unsigned seed) : random_(seed), b_("random", kBlocks, kThreads) {
    b_.global("in", i32, 64, true);
    b_.global("floats", f32, 64, true);
    b_.global("out", i32, kBlocks * kThreads * kStores);
    b_.global("floats_out", f32, kBlocks * kThreads * kStores);
    point_ = b_.add(b_.times(b_.block(), kThreads), b_.thread());
    define(b_.thread());
    define(b_.block());
    define(b_.constant(pick(9) - 4));
    define(b_.constant(0.5f));
    define(b_.compare(Op::lt, b_.thread(), b_.constant(pick(kThreads))));
    for (int i = 0; i < 3; ++i) load();
    for (int i = 0; i < 3; ++i) add_variable();
    region(3, 14);
    // What the variables have come to.
    RegisterId all[] = {b_.constant(0), b_.constant(0.0f)};
    for (RegisterId v : variables_) {
      RegisterId& sum = all[b_.f.type(v) == f32];
      sum = b_.add(sum, v);
    }
    for (RegisterId v : all) b_.store(b_.f.type(v) == i32 ? 2 : 3, b_.times(point_, kStores), v);
  }
  Function take() { return std::move(b_.f); }

 private:
  int pick(int n) { return static_cast<int>(random_() % static_cast<unsigned>(n)); }
  RegisterId any(DType t) {
    const auto& of = visible_[t];
    return of[of.size() - 1 -
              static_cast<std::size_t>(pick(static_cast<int>(std::min<std::size_t>(of.size(), pick(3) ? 6 : 20))))];
  }
  DType number_type() { return pick(2) ? i32 : f32; }
  void define(RegisterId v) { visible_[b_.f.type(v)].push_back(v); }
  void add_variable() {
    const RegisterId v = b_.variable(any(number_type()));
    variables_.push_back(v);
    define(v);
  }
  RegisterId index64(RegisterId v) { return b_.apply(Op::bit_and, {v, b_.constant(63)}); }
  void store(RegisterId v) {
    // Two places of this thread's own.
    const RegisterId first = b_.add(b_.times(point_, kStores), b_.constant(2 * pick(kStores / 2)));
    const simt::MemoryId out = b_.f.type(v) == i32 ? 2 : 3;
    const RegisterId wanted = pick(2) ? kNone : any(boolean);
    if (pick(2))
      b_.store(out, first, {v, any(b_.f.type(v))}, wanted);
    else
      b_.store(out, first, v, wanted);
  }
  void apply() {
    const DType t = number_type();
    switch (pick(6)) {
      case 0: return define(b_.compare(pick(2) ? Op::lt : Op::ne, any(t), any(t)));
      case 1: {
        const RegisterId p = any(boolean), x = any(t);
        return define(b_.apply(Op::select, {p, x, any(t)}));
      }
      case 2: return define(b_.apply(Op::convert, {any(t)}, t == i32 ? f32 : i32));
      default: break;
    }
    const RegisterId x = any(t), y = any(t);
    if (t == f32 && pick(2)) return define(b_.apply(Op::fma, {x, y, any(t)}));
    const Op binary[] = {Op::add, Op::sub, Op::add, Op::max};
    define(b_.apply(binary[pick(4)], {x, y}));
  }
  void load() {
    const DType t = number_type();
    define(b_.load(t == i32 ? 0 : 1, index64(any(i32)), 1, pick(2) ? kNone : any(boolean)));
  }
  /// Adds to a variable what came of a value from outside the region.
  void use_outside() {
    const RegisterId v = variables_[static_cast<std::size_t>(pick(static_cast<int>(variables_.size())))];
    const DType t = b_.f.type(v);
    const RegisterId x = b_.add(any(t), any(t)), y = b_.mul(x, b_.load(t == i32 ? 0 : 1, index64(any(i32))));
    b_.set(v, b_.add(v, y));
  }
  void region(int depth, int length) {
    const auto outer = visible_;
    const auto outer_variables = variables_;
    for (int i = 0; i < length; ++i) {
      switch (pick(depth > 0 ? 11 : 8)) {
        case 0:
        case 1: {
          const RegisterId v = variables_[static_cast<std::size_t>(pick(static_cast<int>(variables_.size())))];
          const DType t = b_.f.type(v);
          if (pick(3) == 0) {
            b_.set(v, any(t));
          } else {
            const RegisterId x = any(t), y = any(t), z = pick(3) ? v : any(t);
            const RegisterId updated = t == f32 ? b_.apply(Op::fma, {x, y, z}) : b_.apply(Op::sub, {x, z});
            const RegisterId before = pick(3) ? kNone : b_.apply(Op::sub, {v, x});
            b_.set(v, updated);
            if (before != kNone) store(before);
          }
          break;
        }
        case 2: add_variable(); break;
        case 3: load(); break;
        case 4: store(any(number_type())); break;
        case 8:
        case 10: {
          const RegisterId start = pick(2) ? b_.constant(0) : b_.apply(Op::bit_and, {any(i32), b_.constant(3)});
          const RegisterId end = pick(2) ? b_.constant(pick(6)) : b_.apply(Op::bit_and, {any(i32), b_.constant(7)});
          b_.loop(start, end, 1 + pick(2), [&](RegisterId counter) {
            define(counter);
            use_outside();
            region(depth - 1, length / 2 + 1);
            visible_[i32].erase(std::find(visible_[i32].begin(), visible_[i32].end(), counter));
          });
          break;
        }
        case 9: b_.when(any(boolean), [&] { region(depth - 1, length / 2 + 1); }); break;
        default: apply();
      }
    }
    visible_ = outer;
    variables_ = outer_variables;
  }

  std::mt19937 random_;
  SimtBuilder b_;
  RegisterId point_ = kNone;
  std::map<DType, std::vector<RegisterId>> visible_;
  std::vector<RegisterId> variables_;
};

}  // namespace

TEST_CASE("emulator: random device code does what its threads do one by one", "[emulator]") {
  for (unsigned seed = 1; seed <= 400; ++seed) {
    const Function f = RandomFunction(seed).take();
    INFO("seed " << seed << "\n" << print(f));
    Array in = test::array_of(64, [](int i) { return i * 37 % 64 - 20; });
    Array floats = test::array_of(64, [](int i) { return static_cast<float>(i % 9) / 4 - 1; });
    const auto zeros = [](DType t) { return Array({t, {kBlocks * kThreads * kStores}}); };
    Array out = zeros(i32), floats_out = zeros(f32), expected = zeros(i32), expected_floats = zeros(f32);
    {
      const FlushSubnormals flush;
      for (int block = 0; block < kBlocks; ++block)
        for (int thread = 0; thread < kThreads; ++thread)
          Thread(f, {&in, &floats, &expected, &expected_floats}, block, thread);
    }
    test::emulate_on(f, {&in, &floats, &out, &floats_out},
                     seed % 4 ? EmulatorOptions{.threads = 1} : EmulatorOptions{.check = true});
    REQUIRE(out.same_bits(expected));
    REQUIRE(floats_out.same_bits(expected_floats));
  }
}
