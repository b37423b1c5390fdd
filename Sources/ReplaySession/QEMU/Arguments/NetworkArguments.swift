// SPDX-License-Identifier: GPL-2.0-or-later

import RunDirectory

/// Checks networks among QEMU's arguments: each needs a filter of its own that records packets.
enum NetworkArguments {
    static func check(_ options: [(name: String, value: String)], devices: [String]) throws(RunError) {
        let filtered = options.filter { $0.name == "-object" }.map { OptionValue($0.value) }
            .filter { ($0.first ?? $0["qom-type"]) == "filter-replay" }.compactMap { $0["netdev"] }
        for (name, value) in options where ["-nic", "-netdev", "-net"].contains(name) && value != "none" {
            let network = OptionValue(value)
            let id = network["id"]
            guard let id, filtered.contains(id) else {
                throw .refused(
                    what: "\(name) \(value)", why: "packets from outside would not be recorded",
                    remedy: .addArgument("-object filter-replay,id=replay-\(id ?? "ID"),netdev=\(id ?? "ID")"))
            }
            if let model = network["model"], model.hasPrefix("virtio") { throw virtio("\(name) \(value)") }
        }
        let all = devices.map { (name: "-device", value: $0) } + options.filter { $0.name == "-device" }
        for (_, value) in all {
            let device = OptionValue(value)
            let driver = device.first ?? device["driver"] ?? ""
            if driver.hasPrefix("virtio-net"), device["netdev"] != nil { throw virtio("-device \(value)") }
        }
    }

    /// Two of three replays of a recording with virtio-net hang (QEMU 7.2): QEMU does not record its queue's order.
    private static func virtio(_ what: String) -> RunError {
        .refused(
            what: what, why: "QEMU does not replay packets that virtio-net receives",
            remedy: .useValue("e1000 or rtl8139"))
    }
}
