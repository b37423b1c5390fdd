// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting

// MARK: - What running both sides again has shown
extension PageModel {
    func zoom(_ zoom: DivergenceDocument.ZoomItem) -> Values {
        Values([
            "outcome": Figure(zoom.outcome.rawValue, "/zoom/outcome"), "reason": Figure(zoom.reason, "/zoom/reason"),
            "origin": Figure(zoom.originText, "/zoom/originText"), "running": running(zoom),
            "side": Figure(zoom.onlySide?.rawValue, "/zoom/onlySide"),
            "hasRegisters": zoom.registers != nil,
            "registers": (zoom.registers ?? []).enumerated().map { index, item in
                let path = "/zoom/registers/\(index)"
                return Values([
                    "name": Figure(item.name, "\(path)/name"), "value": Figure(item.value, "\(path)/value"),
                ])
            },
            "branch": zoom.branch.map { branch in
                Values([
                    "ip": Figure(branch.ip, "/zoom/branch/ip"), "symbol": Figure(branch.symbol, "/zoom/branch/symbol"),
                    "first": Figure(branch.original, "/zoom/branch/original"),
                    "second": Figure(branch.replay, "/zoom/branch/replay"),
                    "brctr": Figure(branch.brctr, "/zoom/branch/brctr"),
                    "icount": Figure(branch.icount, "/zoom/branch/icount"),
                ])
            },
            "hasChain": !zoom.chain.isEmpty,
            "chain": zoom.chain.enumerated().map { link($1, "/zoom/chain/\($0)") },
            "hasItems": !zoom.startItems.isEmpty,
            "items": zoom.startItems.enumerated().map { index, item in
                let path = "/zoom/startItems/\(index)"
                return Values([
                    "register": Figure(item.register, "\(path)/register"),
                    "physical": Figure(item.physical, "\(path)/physical"),
                    "first": Figure(item.original, "\(path)/original"), "second": Figure(item.replay, "\(path)/replay"),
                ])
            },
            "warnings": zoom.warnings.enumerated().compactMap { Figure($1, "/zoom/warnings/\($0)") },
        ])
    }

    /// The tasks of both sides; one row if they are the same.
    private func running(_ zoom: DivergenceDocument.ZoomItem) -> [Values] {
        guard let running = zoom.running else { return [] }
        let isSame = running.original == running.replay
        let sides = [("original", running.original), ("replay", isSame ? nil : running.replay)]
        return sides.compactMap { side, task in
            task.map { task in
                Values([
                    "side": isSame ? "on both sides" : "in the \(side)",
                    "name": Figure(task.name, "/zoom/running/\(side)/name"),
                    "program": Figure(task.program, "/zoom/running/\(side)/program"),
                    "pid": Figure("\(task.pid)", "/zoom/running/\(side)/pid"),
                ])
            }
        }
    }

    private func link(_ link: DivergenceDocument.LinkItem, _ path: String) -> Values {
        Values([
            "role": Figure(link.role.rawValue, "\(path)/role"), "ip": Figure(link.ip, "\(path)/ip"),
            "symbol": Figure(link.symbol, "\(path)/symbol"), "source": Figure(link.source, "\(path)/source"),
            "instruction": Figure(link.instruction, "\(path)/instruction"),
            "register": Figure(link.register, "\(path)/register"), "address": Figure(link.address, "\(path)/address"),
            "first": Figure(link.original, "\(path)/original"), "second": Figure(link.replay, "\(path)/replay"),
        ])
    }
}
