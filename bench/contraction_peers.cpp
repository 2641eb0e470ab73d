// Matrix products beside OpenBLAS and oneDNN, all on the same threads, in turns: a table of GFLOP/s (best of the
// rounds) and the ratio to the better peer (median over rounds of the ratios inside a round, so that a noisy machine
// hurts all alike). With --cpu NAME all make code in the vectors of that cpu.
#include <cblas.h>
#include <fmt/core.h>
#include <CLI/CLI.hpp>

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <functional>
#include <map>
#include <oneapi/dnnl/dnnl.hpp>
#include <string>
#include <thread>
#include <vector>

#include "compiler/compilation.h"
#include "ir/base/text.h"
#include "ir/graph/graph.h"
#include "runtime/host/executor.h"

extern "C" void openblas_set_num_threads(int);
extern "C" void omp_set_num_threads(int);

namespace weft::bench {
namespace {

/// z[b,m,n] = sum over k of x * y; x is stored [m,k] (or [k,m], `lhs_transposed`), y [k,n] (or [n,k]).
struct Case {
  std::int64_t m, n, k, batch = 1;
  bool lhs_transposed = false, rhs_transposed = false;
  const char* what = "";
};
const Case kCases[] = {
    {128, 512, 784, 1, false, false, "forward"},
    {128, 256, 512, 1, false, false, "forward"},
    {128, 10, 256, 1, false, false, "forward, narrow"},
    {784, 512, 128, 1, true, false, "weight gradient"},
    {512, 256, 128, 1, true, false, "weight gradient"},
    {128, 512, 256, 1, false, true, "input gradient"},
    {1024, 1024, 1024, 1, false, false, "square"},
    {2048, 2048, 2048, 1, false, false, "square"},
    {49, 64, 256, 128, false, false, "batched"},
    {1, 512, 784, 1, false, false, "one row"},
    {17, 33, 65, 1, false, false, "odd"},
};

std::string name_of(const Case& c) {
  return fmt::format("{}x{}x{}{}{}", c.m, c.n, c.k, c.batch > 1 ? fmt::format(" batch {}", c.batch) : "",
                     c.lhs_transposed   ? " TN"
                     : c.rhs_transposed ? " NT"
                                        : " NN");
}

/// [batch, rows, columns], stored as [batch, columns, rows] when transposed; without a batch of 1.
std::vector<std::int64_t> dims_of(const Case& c, std::int64_t rows, std::int64_t columns, bool transposed) {
  std::vector<std::int64_t> dims;
  if (c.batch > 1) dims.push_back(c.batch);
  dims.push_back(transposed ? columns : rows);
  dims.push_back(transposed ? rows : columns);
  return dims;
}
std::vector<std::int64_t> lhs_dims(const Case& c) { return dims_of(c, c.m, c.k, c.lhs_transposed); }
std::vector<std::int64_t> rhs_dims(const Case& c) { return dims_of(c, c.k, c.n, c.rhs_transposed); }

Array random(const std::vector<std::int64_t>& dims) {
  Array a(Type{f32, Shape(dims)});
  std::uint32_t state = 1;
  for (float& x : a.as<float>()) x = static_cast<float>((state = state * 1664525 + 1013904223) >> 8) * 0x1p-24f - 0.5f;
  return a;
}

std::unique_ptr<Executor> make_weft(const Case& c, const Array& x, const Array& y, const Placement& place) {
  const int batched = c.batch > 1;
  const std::string text = fmt::format(
      "func @product(%x: f32[{}], %y: f32[{}]) {{\n"
      "  %z = contract %x, %y {{lhs=[{}], rhs=[{}]{}}} : f32[{}]\n  return %z\n}}\n",
      fmt::join(lhs_dims(c), ","), fmt::join(rhs_dims(c), ","), batched + !c.lhs_transposed, batched + c.rhs_transposed,
      batched ? ", lhs_batch=[0], rhs_batch=[0]" : "", fmt::join(dims_of(c, c.m, c.n, false), ","));
  auto executor =
      std::make_unique<Executor>(Compilation(parse_graph(text), machine_of(place)).artifact(), team_of(place));
  executor->bind(0, x);
  executor->bind(1, y);
  return executor;
}

void run_openblas(const Case& c, const float* x, const float* y, float* z) {
  for (std::int64_t b = 0; b < c.batch; ++b)
    cblas_sgemm(CblasRowMajor, c.lhs_transposed ? CblasTrans : CblasNoTrans,
                c.rhs_transposed ? CblasTrans : CblasNoTrans, static_cast<int>(c.m), static_cast<int>(c.n),
                static_cast<int>(c.k), 1.0f, x + b * c.m * c.k, static_cast<int>(c.lhs_transposed ? c.m : c.k),
                y + b * c.k * c.n, static_cast<int>(c.rhs_transposed ? c.k : c.n), 0.0f, z + b * c.m * c.n,
                static_cast<int>(c.n));
}

std::function<void()> make_onednn(const Case& c, float* x, float* y, float* z) {
  static dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  static dnnl::stream stream(engine);
  using Dims = dnnl::memory::dims;
  auto memory = [&](Dims dims, bool transposed, float* p) {
    const Dims strides = transposed ? Dims{dims[1] * dims[2], 1, dims[1]} : Dims{dims[1] * dims[2], dims[2], 1};
    return dnnl::memory({dims, dnnl::memory::data_type::f32, strides}, engine, p);
  };
  auto a = memory({c.batch, c.m, c.k}, c.lhs_transposed, x), b = memory({c.batch, c.k, c.n}, c.rhs_transposed, y),
       d = memory({c.batch, c.m, c.n}, false, z);
  auto product = std::make_shared<dnnl::matmul>(
      dnnl::matmul::primitive_desc(dnnl::matmul::desc(a.get_desc(), b.get_desc(), d.get_desc()), engine));
  return [=] {
    product->execute(stream, {{DNNL_ARG_SRC, a}, {DNNL_ARG_WEIGHTS, b}, {DNNL_ARG_DST, d}});
    stream.wait();
  };
}

/// One thread is timed by its CPU time, which other processes disturb less.
double now(int threads) {
  timespec t;
  clock_gettime(threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

double seconds_of(const std::function<void()>& f, int calls, int threads) {
  const double start = now(threads);
  for (int i = 0; i < calls; ++i) f();
  return (now(threads) - start) / calls;
}

double median(std::vector<double> v) {
  std::sort(v.begin(), v.end());
  return v[v.size() / 2];
}

}  // namespace

struct Options {
  int rounds = 7, threads = usable_cpus();
  double seconds = 0.08;
  std::string filter, cpu;
  std::vector<std::int64_t> shape;  // m, n, k and perhaps batch
  std::string layout = "NN";
};

/// Starts this program anew with the peers' own switches set to the vectors of o.cpu, unless they are: OpenBLAS reads
/// its switch when it is loaded.
void restrict_peers(const Options& o, char** argv) {
  if (o.cpu.empty()) return;
  const int bytes = machine_of({.cpu = o.cpu}).host.vector_bytes;
  constexpr const char *kOpenblas = "OPENBLAS_CORETYPE", *kOnednn = "ONEDNN_MAX_CPU_ISA";
  if (bytes >= 64 || (std::getenv(kOpenblas) && std::getenv(kOnednn))) return;
  setenv(kOpenblas, bytes >= 32 ? "Haswell" : "Nehalem", 0);
  setenv(kOnednn, bytes >= 32 ? "AVX2" : "SSE41", 0);
  execv("/proc/self/exe", argv);
  fail("cannot start anew: {}", std::strerror(errno));
}

int run(const Options& o) {
  openblas_set_num_threads(o.threads);
  omp_set_num_threads(o.threads);
  fmt::print(
      "GFLOP/s on {} threads, {}, best of {} rounds of {} s; ratio to the better peer: median, and of the bests\n",
      o.threads, machine_of({.cpu = o.cpu}).host.cpu, o.rounds, o.seconds);
  fmt::print("{:28} {:>8} {:>8} {:>8} {:>7} {:>7}\n", "m x n x k", "weft", "OpenBLAS", "oneDNN", "ratio", "bests");
  std::vector<double> ratios;
  std::vector<Case> cases(std::begin(kCases), std::end(kCases));
  if (!o.shape.empty())
    cases = {{o.shape[0], o.shape[1], o.shape[2], o.shape.size() > 3 ? o.shape[3] : 1, o.layout[0] == 'T',
              o.layout[1] == 'T'}};
  for (const Case& c : cases) {
    if (name_of(c).find(o.filter) == std::string::npos) continue;
    const Array x = random(lhs_dims(c)), y = random(rhs_dims(c));
    Array z(Type{f32, Shape({c.batch, c.m, c.n})});
    float *px = x.as<float>().data(), *py = y.as<float>().data(), *pz = z.as<float>().data();
    const auto executor = make_weft(c, x, y, {.threads = o.threads, .cpu = o.cpu});
    const std::vector<std::function<void()>> peers = {[&] { executor->run(); }, [&] { run_openblas(c, px, py, pz); },
                                                      make_onednn(c, px, py, pz)};
    const double flop = 2.0 * static_cast<double>(c.batch * c.m * c.n) * static_cast<double>(c.k);
    std::vector<int> calls;
    for (const auto& f : peers) {
      seconds_of(f, 3, o.threads);
      calls.push_back(std::clamp(static_cast<int>(o.seconds / seconds_of(f, 3, o.threads)), 1, 100000));
    }
    std::vector<std::vector<double>> seconds(peers.size());
    std::vector<double> ratio;
    for (int r = 0; r < o.rounds; ++r) {
      for (std::size_t p = 0; p < peers.size(); ++p) {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));   // others' threads have stopped spinning
        seconds_of(peers[p], std::max(1, calls[p] / 10), o.threads);  // its own are awake, the caches hold its data
        seconds[p].push_back(seconds_of(peers[p], calls[p], o.threads));
      }
      ratio.push_back(std::min(seconds[1].back(), seconds[2].back()) / seconds[0].back());
    }
    ratios.push_back(median(ratio));
    auto best = [&](std::size_t p) { return flop / *std::min_element(seconds[p].begin(), seconds[p].end()) * 1e-9; };
    fmt::print("{:28} {:8.1f} {:8.1f} {:8.1f} {:7.2f} {:7.2f}  {}\n", name_of(c), best(0), best(1), best(2),
               ratios.back(), best(0) / std::max(best(1), best(2)), c.what);
    std::fflush(stdout);
  }
  double log_sum = 0;
  for (double r : ratios) log_sum += std::log(r);
  fmt::print("geometric mean {:.3f}, least {:.2f} of the better peer\n",
             std::exp(log_sum / static_cast<double>(std::max<std::size_t>(1, ratios.size()))),
             ratios.empty() ? 0 : *std::min_element(ratios.begin(), ratios.end()));
  return 0;
}

}  // namespace weft::bench

int main(int argc, char** argv) {
  weft::bench::Options o;
  CLI::App app("Matrix products beside OpenBLAS and oneDNN");
  app.add_option("--rounds", o.rounds, "turns of every library")->check(CLI::Range(1, 10000))->capture_default_str();
  app.add_option("--threads", o.threads, "of every library")->check(CLI::Range(1, 1024))->capture_default_str();
  app.add_option("--seconds", o.seconds, "of one turn")->check(CLI::Range(1e-4, 10.0))->capture_default_str();
  app.add_option("--filter", o.filter, "only the shapes whose name contains this");
  app.add_option("--shape", o.shape, "one shape of your own: M N K [BATCH]")
      ->expected(3, 4)
      ->check(CLI::Range(1, 1 << 20));
  app.add_option("--layout", o.layout, "of that shape: is lhs, is rhs transposed")
      ->check(CLI::IsMember({"NN", "TN", "NT", "TT"}));
  app.add_option("--cpu", o.cpu,
                 "make code for this cpu (znver3, haswell, …); the peers use vectors no wider than its");
  CLI11_PARSE(app, argc, argv);
  try {
    weft::bench::restrict_peers(o, argv);
    return weft::bench::run(o);
  } catch (const weft::Error& e) {
    fmt::print(stderr, "bench_contraction_peers: error: {}\n", e.what());
    return 1;
  }
}
