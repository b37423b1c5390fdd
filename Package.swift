// swift-tools-version: 6.2
// SPDX-License-Identifier: GPL-2.0-or-later

import PackageDescription

let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let mustache = Target.Dependency.product(name: "Mustache", package: "swift-mustache")
let warningsAsErrors: [CSetting] = [.enableWarning("all"), .enableWarning("extra"), .treatAllWarnings(as: .error)]

let package = Package(
    name: "tt-analyze",
    products: [
        .library(name: "CTTLog", targets: ["CTTLog"]),
        .library(name: "LogFormat", targets: ["LogFormat"]),
        .library(name: "Formatting", targets: ["Formatting"]),
        .library(name: "Symbolize", targets: ["Symbolize"]),
        .library(name: "MachineCode", targets: ["MachineCode"]),
        .library(name: "BranchAnalysis", targets: ["BranchAnalysis"]),
        .library(name: "CallTree", targets: ["CallTree"]),
        .library(name: "Alignment", targets: ["Alignment"]),
        .library(name: "LogViews", targets: ["LogViews"]),
        .library(name: "TraceIndex", targets: ["TraceIndex"]),
        .library(name: "ttlog_sqlite", type: .dynamic, targets: ["TTLogSQLite"]),
        .library(name: "ttlogarrow", type: .dynamic, targets: ["ArrowStreams"]),
        .library(name: "Reporting", targets: ["Reporting"]),
        .library(name: "BugBundle", targets: ["BugBundle"]),
        .library(name: "RunDirectory", targets: ["RunDirectory"]),
        .library(name: "ReplaySession", targets: ["ReplaySession"]),
        .library(name: "Zoom", targets: ["Zoom"]),
        .executable(name: "tt-analyze", targets: ["tt-analyze"]),
        .executable(name: "bts-dump", targets: ["bts-dump"]),
        .executable(name: "tt-record", targets: ["tt-record"]),
        .executable(name: "tt-replay", targets: ["tt-replay"]),
        .executable(name: "tt-gdb", targets: ["tt-gdb"]),
        .executable(name: "tt-dap", targets: ["tt-dap"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/hummingbird-project/swift-mustache", from: "2.1.1"),
    ],
    targets: [
        // Text out.
        .target(name: "Formatting"),

        // The log: layout, writer (C), reader (Swift).
        .target(
            name: "CTTLog",
            cSettings: warningsAsErrors,
            linkerSettings: [.linkedLibrary("zstd"), .linkedLibrary("pthread")]),
        .target(name: "LogFormat", dependencies: ["CTTLog", "Formatting"]),

        // Addresses to names.
        .systemLibrary(
            name: "CElfutils", pkgConfig: "libdw", providers: [.apt(["libdw-dev", "libelf-dev"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .systemLibrary(name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
        .systemLibrary(name: "CLzma", pkgConfig: "liblzma", providers: [.apt(["liblzma-dev"])]),
        .target(
            name: "CDemangle", cSettings: warningsAsErrors, linkerSettings: [.linkedLibrary("iberty")]),
        .target(name: "CFileGuard", cSettings: warningsAsErrors, linkerSettings: [.linkedLibrary("pthread")]),
        .systemLibrary(name: "CCapstone", pkgConfig: "capstone", providers: [.apt(["libcapstone-dev"])]),
        .systemLibrary(name: "CPrefetch"),
        .target(
            name: "Symbolize",
            dependencies: [
                "CTTLog", "CElfutils", "CPrefetch", "CZlib", "CZstd", "CLzma", "CDemangle", "CFileGuard", "Formatting",
            ]),

        // Instructions.
        .target(name: "MachineCode", dependencies: ["CElfutils", "CCapstone", "Formatting", "LogFormat", "Symbolize"]),

        // What branches tell about the code that ran.
        .target(
            name: "BranchAnalysis", dependencies: ["LogFormat", "Symbolize", "MachineCode", "Formatting"]),

        // Branches to open calls.
        .target(name: "CallTree", dependencies: ["LogFormat"]),

        // Two logs to a divergence, a divergence to text.
        .target(name: "Alignment", dependencies: ["Formatting", "LogFormat", "CallTree"]),
        .target(
            name: "Reporting",
            dependencies: [
                "Formatting", "Alignment", "CallTree", "LogFormat", "RunDirectory", "Symbolize", "MachineCode", "Zoom",
                mustache,
            ],
            resources: [.embedInCode("HTML/Page")]),

        // The parts of the QEMU plugin that need no QEMU, for its tests (the plugin: make -C hypervisor/qemu).
        .target(
            name: "CQEMUPlugin", dependencies: ["CTTLog"], path: "hypervisor/qemu/plugin",
            sources: ["decode.c", "transitions.c", "options.c"], publicHeadersPath: ".",
            cSettings: warningsAsErrors),

        // The files of a run: layout, manifest, identity, locks, trust.
        .systemLibrary(name: "CNettle", pkgConfig: "nettle", providers: [.apt(["nettle-dev"])]),
        .target(name: "RunDirectory", dependencies: ["CNettle"]),

        // A divergence as one file for somebody else.
        .target(
            name: "BugBundle",
            dependencies: [
                "CZstd", "Formatting", "LogFormat", "Symbolize", "MachineCode", "Alignment", "RunDirectory",
                "Reporting",
            ]),

        // Guests, recorded and replayed.
        .target(name: "ReplaySession", dependencies: ["RunDirectory", "LogFormat", "Formatting"]),

        // A divergence, run again and explained down to an instruction.
        .target(
            name: "Zoom",
            dependencies: ["Formatting", "ReplaySession", "RunDirectory", "LogFormat", "Symbolize", "MachineCode"]),

        // Rows of branches, calls and events.
        .target(
            name: "LogViews",
            dependencies: ["Formatting", "LogFormat", "CallTree", "Symbolize", "MachineCode", "BranchAnalysis"]),

        // Logs to SQLite.
        .systemLibrary(name: "CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
        .target(
            name: "TraceIndex",
            dependencies: ["CSQLite", "Formatting", "LogFormat", "CallTree", "Symbolize"]),

        .target(
            name: "CEditLine", cSettings: warningsAsErrors, linkerSettings: [.linkedLibrary("edit")]),
        .target(name: "TTLogSQLite", dependencies: ["TraceIndex", "CSQLite"], exclude: ["exports.map"]),

        // Logs as Arrow streams: the shared library of python/ttlog (scripts/build-arrow-library).
        .target(name: "CArrow", cSettings: warningsAsErrors),
        .target(
            name: "ArrowStreams",
            dependencies: [
                "CArrow", "Formatting", "LogFormat", "CallTree", "Alignment", "Symbolize", "BranchAnalysis",
            ],
            exclude: ["exports.map"]),

        // Editors on a replay: the Debug Adapter Protocol, spoken over gdb.
        .target(name: "DebugAdapter", dependencies: ["RunDirectory"], resources: [.embedInCode("ttdap.py")]),

        // Executables, and what their command lines have in common.
        .target(
            name: "ToolSupport",
            dependencies: [
                "Formatting", "LogFormat", "Symbolize", "MachineCode", "BranchAnalysis", "LogViews", "RunDirectory",
                argumentParser,
            ]),
        // What tt-replay and tt-gdb share: a run that is gone through.
        .target(
            name: "TravelSupport",
            dependencies: [
                "ToolSupport", "ReplaySession", "Zoom", "RunDirectory", "LogFormat", "CallTree", "Alignment",
                "Symbolize",
                "Formatting", argumentParser,
            ]),
        .executableTarget(
            name: "tt-analyze",
            dependencies: [
                "ToolSupport", "LogViews", "LogFormat", "Alignment", "BranchAnalysis", "Reporting", "Symbolize",
                "RunDirectory", "ReplaySession", "Zoom", "MachineCode", "Formatting", "TraceIndex", "BugBundle",
                "CEditLine",
                argumentParser,
            ]),
        .executableTarget(
            name: "bts-dump",
            dependencies: [
                "ToolSupport", "LogViews", "LogFormat", "Symbolize", "MachineCode", "Formatting", argumentParser,
            ]),
        .executableTarget(
            name: "tt-record",
            dependencies: ["ToolSupport", "ReplaySession", "RunDirectory", "Formatting", argumentParser]),
        .executableTarget(
            name: "tt-replay",
            dependencies: [
                "ToolSupport", "TravelSupport", "ReplaySession", "RunDirectory", "Formatting", argumentParser,
            ]),
        .executableTarget(
            name: "tt-gdb",
            dependencies: ["ToolSupport", "TravelSupport", "ReplaySession", "RunDirectory", argumentParser],
            resources: [.embedInCode("ttgdb.py")]),
        .executableTarget(
            name: "tt-dap",
            dependencies: [
                "DebugAdapter", "ToolSupport", "TravelSupport", "ReplaySession", "RunDirectory", argumentParser,
            ]),

        // Tests. TestSupport: the text-to-log assembler and the synthetic pair generator.
        .target(name: "TestSupport", dependencies: ["Formatting", "LogFormat"], path: "Tests/Support"),
        .executableTarget(name: "make-pair", dependencies: ["LogFormat", "TestSupport"], path: "Benchmarks/make-pair"),
        .executableTarget(
            name: "make-pairs", dependencies: ["TestSupport"], path: "Benchmarks/make-pairs"),
        .executableTarget(name: "make-log", dependencies: ["TestSupport"], path: "Benchmarks/index/make-log"),
        .executableTarget(
            name: "ttlog-torture", dependencies: ["CTTLog"], path: "Tests/Torture",
            cSettings: warningsAsErrors),
        .testTarget(name: "FormattingTests", dependencies: ["Formatting"]),
        .testTarget(name: "QEMUPluginTests", dependencies: ["CQEMUPlugin", "CTTLog"]),
        .testTarget(name: "CTTLogTests", dependencies: ["CTTLog", "ttlog-torture"]),
        .testTarget(
            name: "LogFormatTests", dependencies: ["CZstd", "Formatting", "LogFormat", "CTTLog", "TestSupport"]),
        .testTarget(
            name: "SymbolizeTests",
            dependencies: ["CElfutils", "CLzma", "Symbolize", "MachineCode", "Formatting", "CTTLog"]),
        .testTarget(
            name: "BranchAnalysisTests",
            dependencies: [
                "BranchAnalysis", "Formatting", "LogFormat", "LogViews", "Symbolize", "MachineCode", "CQEMUPlugin",
                "TestSupport",
            ]),
        .testTarget(name: "ArrowStreamsTests", dependencies: ["ArrowStreams", "CArrow", "LogFormat", "TestSupport"]),
        .testTarget(name: "CallTreeTests", dependencies: ["CallTree", "LogFormat", "TestSupport"]),
        .testTarget(name: "AlignmentTests", dependencies: ["Alignment", "LogFormat", "Reporting", "TestSupport"]),
        .testTarget(
            name: "ReportingTests",
            dependencies: ["Reporting", "Alignment", "LogFormat", "Symbolize", "TestSupport", "Zoom"],
            exclude: ["Snapshots"]),
        .testTarget(
            name: "BugBundleTests",
            dependencies: [
                "BugBundle", "CZstd", "Alignment", "LogFormat", "Reporting", "RunDirectory", "TestSupport", "Zoom",
            ]),
        .testTarget(name: "ZoomTests", dependencies: ["Zoom", "ReplaySession", "Symbolize"]),
        .testTarget(name: "RunDirectoryTests", dependencies: ["RunDirectory", "TestSupport"]),
        .testTarget(
            name: "TraceIndexTests",
            dependencies: ["CallTree", "TraceIndex", "CSQLite", "LogFormat", "Formatting", "TestSupport"]),
        .testTarget(
            name: "ReplaySessionTests",
            dependencies: [
                "Formatting", "LogFormat", "ReplaySession", "RunDirectory", "TestSupport", "TravelSupport",
            ]),
        .testTarget(name: "DebugAdapterTests", dependencies: ["DebugAdapter", "RunDirectory"]),
        .testTarget(
            name: "ToolTests",
            dependencies: ["TestSupport", "LogFormat", "LogViews", "Symbolize", "Formatting", "Reporting"],
            exclude: ["Snapshots"]),
        .testTarget(
            name: "EndToEnd",
            dependencies: [
                "TestSupport", "LogFormat", "ReplaySession", "RunDirectory", "Alignment", "BranchAnalysis", "CallTree",
                "Symbolize", "MachineCode", "Reporting", "Zoom",
            ]),
    ],
    swiftLanguageModes: [.v6],
    cLanguageStandard: .c11
)
