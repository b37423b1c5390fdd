// swift-tools-version: 6.2
// SPDX-License-Identifier: GPL-2.0-or-later

import PackageDescription

let package = Package(
    name: "Benchmarks",
    dependencies: [.package(name: "tt-analyze", path: "..")],
    targets: [
        .target(
            name: "CDecodePeer",
            cSettings: [.enableWarning("all"), .enableWarning("extra"), .treatAllWarnings(as: .error)]),
        .executableTarget(
            name: "decode-bench",
            dependencies: [
                "CDecodePeer",
                .product(name: "CallTree", package: "tt-analyze"),
                .product(name: "CTTLog", package: "tt-analyze"),
                .product(name: "LogFormat", package: "tt-analyze"),
            ]),
        .executableTarget(
            name: "lookup-bench", dependencies: [.product(name: "Symbolize", package: "tt-analyze")]),
    ],
    swiftLanguageModes: [.v6],
    cLanguageStandard: .c11
)
