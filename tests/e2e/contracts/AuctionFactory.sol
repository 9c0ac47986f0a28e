// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Auction} from "./Auction.sol";

contract AuctionFactory {
    address[] public auctions;

    event DeployedNewAuction(address indexed auction, address indexed want);

    function createNewAuction(address want) external returns (address) {
        address auction = address(new Auction(want));
        auctions.push(auction);
        emit DeployedNewAuction(auction, want);
        return auction;
    }
}
