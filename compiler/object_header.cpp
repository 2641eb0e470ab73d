// The header: sizes as constants, states as an enumeration, the arrays of a function as structures of pointers; and the
// demonstration, which calls each function.
#include "compiler/object_header.h"

#include <algorithm>
#include <cctype>

#include "ir/base/error.h"

namespace weft {
namespace {

/// Keywords of C and C++, and what their libraries and compilers define.
constexpr std::string_view kTaken =
    " alignas alignof and and_eq asm auto bitand bitor bool break case catch char char8_t char16_t char32_t "
    "class compl concept const consteval constexpr constinit const_cast continue co_await co_return co_yield "
    "decltype default delete do double dynamic_cast else enum explicit export extern false float for friend goto "
    "if inline int long mutable namespace new noexcept not not_eq nullptr operator or or_eq private protected "
    "public register reinterpret_cast requires restrict return short signed sizeof static static_assert "
    "static_cast struct switch template this thread_local throw true try typedef typeid typename union unsigned "
    "using virtual void volatile wchar_t while xor xor_eq _Alignas _Alignof _Atomic _Bool _Complex _Generic "
    "_Imaginary _Noreturn _Static_assert _Thread_local typeof NULL EOF errno linux unix std int32_t int64_t "
    "uint8_t ";

std::string upper(std::string_view text) {
  std::string s(text);
  for (char& c : s) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return s;
}

std::string_view c_type(DType t) {
  switch (t) {
    case f32: return "float";
    case f64: return "double";
    case i32: return "int32_t";
    case i64: return "int64_t";
    default: return "uint8_t";
  }
}

/// Text in a comment: what would end it is broken up, and lines are one.
std::string in_comment(std::string text) {
  for (std::size_t at; (at = text.find("*/")) != text.npos;) text.replace(at, 2, "* /");
  std::ranges::replace_if(
      text, [](unsigned char c) { return c < ' '; }, ' ');
  return text;
}

/// Text between quotation marks.
std::string in_string(const std::string& text) {
  std::string s;
  for (const char c : text) s += c == '"' || c == '\\' ? std::string("\\") + c : std::string(1, c);
  return s;
}

/// The members of a structure for the arrays of a function: names of C, one an array.
std::vector<std::string> members_of(const std::vector<HeaderFunction::Array>& arrays) {
  std::vector<std::string> names;
  for (const auto& a : arrays) c_identifier(a.name, names);
  return names;
}

class Writer {
 public:
  explicit Writer(const HeaderModule& m) : m_(m), name_(m.object->name), macro_(upper(m.object->name)) {}

  std::string header() {
    line("/* {}: made by weft for {}. What it computes is compiled into its object file;", name_, m_.target);
    line(" * it needs nothing else: it calls no function, allocates nothing and keeps nothing of its own. */");
    line("#ifndef {}_WEFT_H", macro_);
    line("#define {}_WEFT_H", macro_);
    line("#include <stdint.h>\n");
    line("#if defined(__cplusplus)");
    line("#define {}_ALIGNED alignas(64)", macro_);
    line("extern \"C\" {{");
    line("#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L");
    line("#define {}_ALIGNED _Alignas(64)", macro_);
    line("#else");
    line("#define {}_ALIGNED __attribute__((aligned(64)))", macro_);
    line("#endif\n");
    line("/* Of this header and its object. A state is of one of them: functions refuse any other. */");
    line("#define {}_ID UINT64_C(0x{:016x})", macro_, m_.id);
    line("#define {}_WEFT_VERSION \"{}\"\n", macro_, WEFT_VERSION);
    faults();
    states();
    if (m_.object->tasks > 1) parallel_for();
    for (const HeaderFunction& f : m_.functions) function(f);
    line("#ifdef __cplusplus");
    line("}}  /* extern \"C\" */");
    wrapper();
    line("#endif  /* __cplusplus */");
    line("#endif");
    return std::move(text_);
  }

  std::string demo(std::string_view header_file) {
    line("/* Runs each function of {} a few times and prints what comes out. */", name_);
    line("#include <stdio.h>\n");
    line("#include \"{}\"\n", header_file);
    line("static {}_state state;", name_);
    for (const HeaderFunction& f : m_.functions) {
      line("static {}_{}_workspace {}_work;", name_, f.name, f.name);
      const auto declare = [&](const std::vector<HeaderFunction::Array>& arrays, std::string_view what) {
        if (arrays.empty()) return;
        const std::vector<std::string> members = members_of(arrays);
        line("static struct {{");
        for (std::size_t i = 0; i < arrays.size(); ++i)
          line("  {} {}[{}];  /* {} */", c_type(arrays[i].type.dtype), members[i], elements(arrays[i].type),
               in_comment(to_string(arrays[i].type)));
        line("}} {}_{};", f.name, what);
      };
      declare(f.inputs, "in"), declare(f.outputs, "out");
    }
    demo_samples();
    const auto made_up = [&](const HeaderFunction& f) {
      return std::ranges::any_of(f.inputs, [&](const auto& in) { return !samples_of(in); });
    };
    if (std::ranges::any_of(m_.functions, made_up)) {
      line("\n/* Numbers that look random: x in [0, 1). */");
      line("static double next(void) {{");
      line("  static uint32_t seed = 1;");
      line("  seed = seed * 1664525u + 1013904223u;");
      line("  return (seed >> 8) / 16777216.0;");
      line("}}");
    }
    line("");
    line("int main(void) {{");
    line("  int32_t fault = {}_init(&state);", name_);
    line("  if (fault) {{");
    line("    printf(\"init: fault %d\\n\", (int)fault);");
    line("    return 1;");
    line("  }}");
    for (const HeaderFunction& f : m_.functions) demo_calls(f);
    line("  return 0;");
    line("}}");
    return std::move(text_);
  }

 private:
  template <class... T>
  void line(fmt::format_string<T...> format, T&&... values) {
    text_ += fmt::format(format, std::forward<T>(values)...) + "\n";
  }

  static std::string identifier(std::string_view name) {
    std::vector<std::string> none;
    return c_identifier(name, none);
  }
  static std::int64_t elements(const Type& t) { return std::max<std::int64_t>(element_count(t.shape), 1); }

  void faults() {
    line("/* What functions return. */");
    line("enum {{");
    line("  {}_OK = 0,", macro_);
    line("  {}_BAD_STATE = {},    /* not one that {}_init() of this object made */", macro_, int(ObjectFault::state),
         name_);
    line("  {}_BAD_POINTER = {},  /* null, or a state or workspace that is not aligned to 64 bytes */", macro_,
         int(ObjectFault::pointer));
    line("  {}_BAD_MACHINE = {},  /* it lacks instructions that the code has */", macro_, int(ObjectFault::machine));
    line("  {}_NO_VALUE = {}      /* there is no value of that number */", macro_, int(ObjectFault::no_value));
    line("}};\n");
  }

  void states() {
    const ObjectModule& o = *m_.object;
    line(
        "/* All that is kept between calls. It holds no pointers, so it may be copied to other memory, and any number "
        "of");
    line(" * them may be used at once; to another machine go single values, by {0}_read() and {0}_write(). */", name_);
    line("typedef struct {}_state {{", name_);
    line("  {}_ALIGNED unsigned char bytes[{}];", macro_, o.state_bytes);
    line("}} {}_state;\n", name_);
    line("/* The values in a state, row-major, for {0}_read() and {0}_write(). */", name_);
    line("enum {{");
    std::vector<std::string> names;
    for (const char* own : {"VALUES", "OK", "BAD_STATE", "BAD_POINTER", "BAD_MACHINE", "NO_VALUE", "ID", "ALIGNED",
                            "WEFT_H", "WEFT_VERSION"})
      names.push_back(macro_ + "_" + own);
    for (std::size_t i = 0; i < o.states.size(); ++i) {
      const ObjectState& s = o.states[i];
      line("  {} = {},  /* {}: {}, {} bytes */", c_identifier(macro_ + "_" + upper(s.name), names), i,
           in_comment(s.name), in_comment(to_string(s.type)), byte_size(s.type));
    }
    line("  {}_VALUES = {}", macro_, o.states.size());
    line("}};");
    line("/* Of all values, as initialisers of arrays: their bytes, and their names. */");
    std::vector<std::string> sizes, labels;
    for (const ObjectState& s : o.states) {
      sizes.push_back(fmt::format("{}", byte_size(s.type)));
      labels.push_back('"' + in_string(s.name) + '"');
    }
    line("#define {}_VALUE_BYTES {{{}}}", macro_, sizes.empty() ? "0" : fmt::format("{}", fmt::join(sizes, ", ")));
    line("#define {}_VALUE_NAMES {{{}}}\n", macro_,
         labels.empty() ? "\"\"" : fmt::format("{}", fmt::join(labels, ", ")));
    line("int32_t {}_supported(void);  /* 1: this machine can run the code */", name_);
    line("int32_t {0}_init({0}_state *state);  /* the values that it begins with */", name_);
    if (std::ranges::any_of(o.states, &ObjectState::restarts))
      line("int32_t {0}_restart({0}_state *state);  /* forgets the frames so far: a new sequence */", name_);
    line("int32_t {0}_read(const {0}_state *state, int32_t value, void *to);", name_);
    line("int32_t {0}_write({0}_state *state, int32_t value, const void *from);\n", name_);
  }

  void parallel_for() {
    line(
        "/* Calls task(context, i) for each i in [0, n), on any threads, and returns when all have returned: yours. "
        "Functions");
    line(" * that take one hand it `pool` as it is; null instead of one: the calling thread does all. n is {}. */",
         m_.object->tasks);
    line(
        "typedef void (*{}_parallel_for)(void *pool, int32_t n, void (*task)(void *context, int32_t i), void "
        "*context);\n",
        name_);
  }

  void function(const HeaderFunction& f) {
    const std::string prefix = fmt::format("{}_{}", name_, f.name);
    const auto late = [](std::int64_t frames) {
      return frames > 0 ? fmt::format(", {} frames late: the first {} mean nothing", frames, frames) : "";
    };
    const auto list = [&](const std::vector<HeaderFunction::Array>& arrays, std::string_view what,
                          const char* constant) {
      if (arrays.empty()) return;
      const std::vector<std::string> members = members_of(arrays);
      line("typedef struct {}_{} {{", prefix, what);
      for (std::size_t i = 0; i < arrays.size(); ++i)
        line("  {}{} *{};  /* {}: {}{} */", constant, c_type(arrays[i].type.dtype), members[i],
             in_comment(arrays[i].name), in_comment(to_string(arrays[i].type)), late(arrays[i].latency));
      line("}} {}_{};", prefix, what);
    };
    line("/* {}: from inputs to outputs{}. An output that is null is not wanted. */", f.name,
         f.updates ? ", and a new state" : "");
    list(f.inputs, "inputs", "const ");
    list(f.outputs, "outputs", "");
    line("typedef struct {}_workspace {{  /* what is in it between calls does not matter */", prefix);
    line("  {}_ALIGNED unsigned char bytes[{}];", macro_, std::max<std::int64_t>(f.workspace_bytes, 64));
    line("}} {}_workspace;", prefix);
    line("int32_t {0}({1}{2}_state *state, const {3} *inputs, const {4} *outputs,", prefix, f.updates ? "" : "const ",
         name_, f.inputs.empty() ? "void" : prefix + "_inputs", f.outputs.empty() ? "void" : prefix + "_outputs");
    line("    {}_workspace *workspace{});\n", prefix,
         m_.object->tasks > 1 ? fmt::format(", {}_parallel_for parallel_for, void *pool", name_) : "");
  }

  void wrapper() {
    line("#if __cplusplus >= 202002L");
    line("#include <span>");
    line("namespace {}_cpp {{", name_);
    line("/* A state and the workspace of its calls, in one piece: large, so keep it static or on the heap. */");
    line("class instance {{");
    line(" public:");
    line("  instance() : fault_(::{}_init(&state_)) {{}}", name_);
    line("  int32_t fault() const {{ return fault_; }}  /* of the start */");
    line("  {}_state &state() {{ return state_; }}", name_);
    for (const HeaderFunction& f : m_.functions) wrapper_call(f);
    line(" private:");
    line("  {}_state state_;", name_);
    line("  union {{");
    for (const HeaderFunction& f : m_.functions) line("    {0}_{1}_workspace {1}_workspace_;", name_, f.name);
    line("  }};");
    line("  int32_t fault_;");
    line("}};");
    line("}}  /* namespace */");
    line("#endif  /* C++20 */");
  }

  void wrapper_call(const HeaderFunction& f) {
    const std::string prefix = fmt::format("{}_{}", name_, f.name);
    std::vector<std::string> names{"state_", "fault_", "in_", "out_", "parallel_for_", "pool_"};
    for (const HeaderFunction& other : m_.functions) {
      names.push_back(other.name);
      names.push_back(other.name + "_workspace_");
    }
    std::string parameters, in, out;
    for (const auto& a : f.inputs) {
      const std::string p = c_identifier(a.name, names);
      parameters += fmt::format("{}std::span<const {}, {}> {}", parameters.empty() ? "" : ", ", c_type(a.type.dtype),
                                element_count(a.type.shape), p);
      in += fmt::format("{}{}.data()", in.empty() ? "" : ", ", p);
    }
    for (const auto& a : f.outputs) {
      const std::string p = c_identifier(a.name, names);
      parameters += fmt::format("{}std::span<{}, {}> {}", parameters.empty() ? "" : ", ", c_type(a.type.dtype),
                                element_count(a.type.shape), p);
      out += fmt::format("{}{}.data()", out.empty() ? "" : ", ", p);
    }
    const bool parallel = m_.object->tasks > 1;
    if (parallel)
      parameters += fmt::format("{}{}_parallel_for parallel_for_ = nullptr, void *pool_ = nullptr",
                                parameters.empty() ? "" : ", ", name_);
    line("  int32_t {}({}) {{", f.name, parameters);
    if (!f.inputs.empty()) line("    const ::{}_inputs in_{{{}}};", prefix, in);
    if (!f.outputs.empty()) line("    const ::{}_outputs out_{{{}}};", prefix, out);
    line("    return ::{}(&state_, {}, {}, &{}_workspace_{});", prefix, f.inputs.empty() ? "nullptr" : "&in_",
         f.outputs.empty() ? "nullptr" : "&out_", f.name, parallel ? ", parallel_for_, pool_" : "");
    line("  }}");
  }

  /// The rows that a demonstration takes an input from, if it has some that fit.
  const weft::Array* samples_of(const HeaderFunction::Array& input) const {
    const auto found = m_.samples.find(input.name);
    const std::int64_t elements = element_count(input.type.shape);
    if (found == m_.samples.end() || elements == 0 || found->second.size() < elements) return nullptr;
    return &found->second;
  }
  std::string sample_name(const std::string& input) const { return identifier("samples_of_" + input); }

  void demo_samples() {
    for (const auto& [name, rows] : m_.samples) {
      line("static const unsigned char {}[{}] = {{  /* {} */", sample_name(name), rows.size(),
           in_comment(to_string(rows.type())));
      std::string numbers;
      for (const std::uint8_t x : rows.as<std::uint8_t>()) {
        numbers += fmt::format("{},", x);
        if (numbers.size() < 110) continue;
        line("{}", numbers);
        numbers.clear();
      }
      line("{}", numbers);
      line("}};");
    }
  }

  void demo_calls(const HeaderFunction& f) {
    const std::string prefix = fmt::format("{}_{}", name_, f.name);
    const std::vector<std::string> in = members_of(f.inputs), out = members_of(f.outputs);
    line("  {{");
    std::string inputs = "0", outputs = "0";
    const auto structure = [&](const std::vector<std::string>& members, const char* what) {
      line("    const {}_{}puts {}puts = {{{}_{}.{}}};", prefix, what, what, f.name, what,
           fmt::join(members, fmt::format(", {}_{}.", f.name, what)));
      return fmt::format("&{}puts", what);
    };
    if (!in.empty()) inputs = structure(in, "in");
    if (!out.empty()) outputs = structure(out, "out");
    for (std::size_t i = 0; i < in.size(); ++i)
      if (!samples_of(f.inputs[i])) {
        const Type& t = f.inputs[i].type;
        line("    for (int i = 0; i < {}; ++i) {}_in.{}[i] = ({})({}next());", element_count(t.shape), f.name, in[i],
             c_type(t.dtype),
             is_float(t.dtype)    ? ""
             : t.dtype == boolean ? "2 * "
                                  : "10 * ");
      }
    line("    for (int call = 0; call < {}; ++call) {{", f.updates ? 20 : 2);
    for (std::size_t i = 0; i < in.size(); ++i)
      if (const Array* rows = samples_of(f.inputs[i])) {
        const Type& t = f.inputs[i].type;
        line("      for (int i = 0; i < {0}; ++i) {1}_in.{2}[i] = {3}[(call % {4}) * {0} + i]{5};",
             element_count(t.shape), f.name, in[i], sample_name(f.inputs[i].name),
             rows->size() / element_count(t.shape), is_float(t.dtype) ? " * (1 / 255.0f)" : "");
      }
    line("      fault = {}(&state, {}, {}, &{}_work{});", prefix, inputs, outputs, f.name,
         m_.object->tasks > 1 ? ", 0, 0" : "");
    line("      if (fault) {{");
    line("        printf(\"{}: fault %d\\n\", (int)fault);", f.name);
    line("        return 1;");
    line("      }}");
    for (std::size_t i = 0; i < out.size(); ++i)
      line("      printf(\"{0} %d: {1}[0] = %.9g\\n\", call + 1, (double){0}_out.{1}[0]);", f.name, out[i]);
    line("    }}");
    line("  }}");
  }

  const HeaderModule& m_;
  std::string name_, macro_, text_;
};

}  // namespace

bool is_c_identifier(std::string_view name) {
  const auto plain = [](unsigned char c) { return std::isalnum(c) || c == '_'; };
  return !name.empty() && !std::isdigit(static_cast<unsigned char>(name[0])) && std::ranges::all_of(name, plain) &&
         kTaken.find(fmt::format(" {} ", name)) == kTaken.npos;
}

std::string c_identifier(std::string_view name, std::vector<std::string>& taken) {
  std::string s;
  for (const char c : name) s += std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  if (s.empty() || std::isdigit(static_cast<unsigned char>(s[0]))) s = "_" + s;
  if (!is_c_identifier(s)) s += "_";
  const std::string base = s;
  for (int n = 2; std::ranges::find(taken, s) != taken.end(); ++n) s = fmt::format("{}_{}", base, n);
  taken.push_back(s);
  return s;
}

std::string header_text(const HeaderModule& m) { return Writer(m).header(); }
std::string demo_text(const HeaderModule& m, std::string_view header_file) { return Writer(m).demo(header_file); }

}  // namespace weft
