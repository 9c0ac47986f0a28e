// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

/// A Dutch auction: the price of a round falls evenly from `FIRST_PRICE` at the kick to `LOWEST_PRICE`, and whoever takes
/// pays what it is at that moment. No tokens move; what is tested is what the events say.
contract Auction {
    /// In Wei for 1e18 of the token. `examples/auction_house/tables.rs` and `auction.rs` have the same three numbers.
    uint256 public constant FIRST_PRICE = 2 ether;
    uint256 public constant LOWEST_PRICE = 0.5 ether;
    uint256 public constant FALL_SECONDS = 300;

    address public immutable factory;
    address public immutable want;

    uint256 public roundId;
    /// Of the present round.
    uint256 public saleSeq;
    address public fromToken;
    uint256 public available;
    uint256 public kickedAt;

    /// Of all rounds.
    uint256 public sales;
    uint256 public lastPrice;
    uint256 public lastBlock;

    event AuctionRoundKicked(uint256 indexed roundId, address indexed from, uint256 initialAvailable);
    event AuctionSale(
        uint256 indexed roundId,
        uint256 indexed saleSeq,
        address indexed taker,
        address fromToken,
        address toToken,
        uint256 amountTaken,
        uint256 amountPaid,
        uint256 price,
        uint256 timestamp
    );

    constructor(address want_) {
        factory = msg.sender;
        want = want_;
        lastBlock = block.number;
    }

    /// What 1e18 of the token costs now.
    function price() public view returns (uint256) {
        if (roundId == 0) return 0;
        uint256 passed = block.timestamp - kickedAt;
        if (passed > FALL_SECONDS) passed = FALL_SECONDS;
        return FIRST_PRICE - ((FIRST_PRICE - LOWEST_PRICE) * passed) / FALL_SECONDS;
    }

    /// What the API has to say of this auction, in one call.
    function state() external view returns (uint256, uint256, uint256, uint256, uint256) {
        return (roundId, sales, lastPrice, lastBlock, price());
    }

    function kick(address from, uint256 initialAvailable) public {
        roundId += 1;
        saleSeq = 0;
        fromToken = from;
        available = initialAvailable;
        kickedAt = block.timestamp;
        lastBlock = block.number;
        emit AuctionRoundKicked(roundId, from, initialAvailable);
    }

    /// Takes `amount`, unless it costs more than `most` for 1e18.
    function take(uint256 amount, uint256 most) public {
        uint256 current = price();
        require(roundId > 0, "no round");
        require(current <= most, "too expensive");
        require(amount <= available, "sold out");
        available -= amount;
        saleSeq += 1;
        sales += 1;
        lastPrice = current;
        lastBlock = block.number;
        uint256 paid = (amount * current) / 1 ether;
        emit AuctionSale(roundId, saleSeq, msg.sender, fromToken, want, amount, paid, current, block.timestamp);
    }

    function takeMany(uint256 n, uint256 amount, uint256 most) external {
        for (uint256 i = 0; i < n; i++) take(amount, most);
    }

    function kickAndTake(address from, uint256 initialAvailable, uint256 amount, uint256 most) external {
        kick(from, initialAvailable);
        take(amount, most);
    }
}
