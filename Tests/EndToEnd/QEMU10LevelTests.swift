// SPDX-License-Identifier: GPL-2.0-or-later

import RunDirectory
import TestSupport
import Testing

@testable import ReplaySession

extension EndToEndTests.QEMU10 {
    /// The real plugin, loaded by a program that offers what a QEMU of some plugin API level offers.
    @Suite struct Levels {
        /// Exports the symbols that distinguish the generations, loads the plugin and installs it: `PLUGIN MIN CUR
        /// LOG`.
        private static let host = """
            #include <dlfcn.h>
            #include <stdbool.h>
            #include <stdio.h>
            #include <stdlib.h>
            #define OFFER(name) int qemu_plugin_##name(void) { return 0; }
            OFFER(register_vcpu_init_cb) OFFER(register_vcpu_tb_trans_cb)
            OFFER(register_flush_cb) OFFER(register_atexit_cb)
            #if GENERATION == 1
            OFFER(register_vcpu_insn_exec_inline)
            #else
            OFFER(scoreboard_new) OFFER(scoreboard_find) OFFER(mem_get_value)
            OFFER(register_vcpu_insn_exec_inline_per_vcpu)
            #endif
            #if GENERATION >= 6
            OFFER(register_vcpu_discon_cb)
            #endif
            struct info { const char *target; int min, cur; bool system; int smp, max; };
            int main(int count, char **words) {
                void *plugin = count == 5 ? dlopen(words[1], RTLD_NOW) : NULL;
                if (!plugin) { fprintf(stderr, "%s\\n", dlerror()); return 9; }
                int (*install)(unsigned long, const struct info *, int, char **);
                *(void **)&install = dlsym(plugin, "qemu_plugin_install");
                printf("version %d\\n", *(int *)dlsym(plugin, "qemu_plugin_version"));
                fflush(stdout);
                struct info info = {"x86_64", atoi(words[2]), atoi(words[3]), true, 1, 1};
                return install(1, &info, 1, &words[4]) == 0 ? 0 : 1;
            }
            """

        private func install(generation: Int, min: Int, cur: Int) throws -> ToolResult {
            let scratch = try temporaryDirectory()
            let (source, program) = (scratch.file("host.c"), scratch.file("host"))
            try Files.replace(source, with: Array(Self.host.utf8))
            let built = try run(
                "/usr/bin/gcc", ["-w", "-rdynamic", "-DGENERATION=\(generation)", "-o", program, source, "-ldl"])
            try #require(built.status == 0, "\(built)")
            return try run(program, [Products.plugin, "\(min)", "\(cur)", "log=\(scratch.file("ttd.log"))"])
        }

        @Test(arguments: [(1, 0, 1), (4, 2, 4)]) func known(generation: Int, min: Int, cur: Int) throws {
            let result = try install(generation: generation, min: min, cur: cur)
            #expect(result.status == 0 && result.out == "version \(cur)\n", "\(result)")
        }

        /// Whatever it exports: the version that QEMU reports is used.
        @Test(arguments: [(4, 2, 5), (6, 2, 6), (7, 7, 7), (7, 7, 8), (1, 0, 4), (4, 0, 1), (4, 2, 3)])
        func unknown(generation: Int, min: Int, cur: Int) throws {
            let result = try install(generation: generation, min: min, cur: cur)
            #expect(result.status == 1, "\(result)")
            for text in ["plugin API \(cur) (oldest accepted: \(min))", "API 1", "QEMU 7.2", "API 4", "QEMU 10.0"] {
                #expect(result.err.contains(text), "\(result)")
            }
        }
    }
}
