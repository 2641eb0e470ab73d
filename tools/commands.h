// The subcommands of `weft`: each adds itself, its options and what it does to the command line.
#pragma once

namespace CLI {
class App;
}

namespace weft::tools {

void add_train(CLI::App&);
void add_bench(CLI::App&);
void add_dump(CLI::App&);
void add_opt(CLI::App&);
void add_run(CLI::App&);
void add_tune(CLI::App&);
void add_import(CLI::App&);
void add_compile(CLI::App&);
void add_generate(CLI::App&);
void add_cache(CLI::App&);
void add_devices(CLI::App&);

}  // namespace weft::tools
