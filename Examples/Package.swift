// swift-tools-version: 6.2
// SPDX-License-Identifier: GPL-2.0-or-later

import PackageDescription

let package = Package(
    name: "Examples",
    dependencies: [.package(name: "tt-analyze", path: "..")],
    targets: [
        .executableTarget(
            name: "read-log", dependencies: [.product(name: "LogFormat", package: "tt-analyze")]),
        .executableTarget(
            name: "name-address", dependencies: [.product(name: "Symbolize", package: "tt-analyze")]),
        .executableTarget(
            name: "compare-logs",
            dependencies: [
                .product(name: "LogFormat", package: "tt-analyze"),
                .product(name: "Alignment", package: "tt-analyze"),
            ]),
        .executableTarget(
            name: "go-through",
            dependencies: [
                .product(name: "LogFormat", package: "tt-analyze"),
                .product(name: "ReplaySession", package: "tt-analyze"),
            ]),
    ],
    swiftLanguageModes: [.v6]
)
