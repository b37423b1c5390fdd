// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting

// MARK: - What running both sides again has shown
extension PageModel {
    func zoom(_ zoom: DivergenceDocument.ZoomItem) -> Values {
        Values([
            "outcome": Figure(zoom.outcome.rawValue, "/zoom/outcome"), "reason": Figure(zoom.reason, "/zoom/reason"),
            "origin": Figure(zoom.originText, "/zoom/originText"), "hasChain": !zoom.chain.isEmpty,
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
