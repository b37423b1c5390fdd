// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import ReplaySession

/// The engine that records.
struct EngineOptions: ParsableArguments {
    enum Name: String, ExpressibleByArgument, CaseIterable {
        case qemu, xen
    }

    @Option(
        help: """
            qemu: stock QEMU with our plugin, anywhere; xen: a PVH or PV domain of the patched Xen, in its dom0, as root (a PV \
            Linux is recorded only).
            """)
    var engine = Name.qemu

    @Option(
        help: ArgumentHelp(
            "With --engine xen: the guest's configuration, as for xl. Options for QEMU's guest and log do not apply.",
            valueName: "file"), completion: .file())
    var config: String?

    @Option(
        help: ArgumentHelp(
            "With --engine xen: a further option of ttd-deviced, such as --defer=500; may be repeated.",
            valueName: "option"))
    var daemonOption: [String] = []

    func validate() throws {
        switch engine {
        case .qemu:
            if config != nil || !daemonOption.isEmpty {
                throw ValidationError("--config and --daemon-option belong to --engine xen")
            }
        case .xen: if config == nil { throw ValidationError("--engine xen needs --config FILE") }
        }
    }

    /// The engine for Xen.
    func xen() throws -> XenEngine {
        var engine = XenEngine(tools: try .find(), configuration: try XenGuestConfiguration(path: config ?? ""))
        engine.daemonOptions = daemonOption
        return engine
    }
}
