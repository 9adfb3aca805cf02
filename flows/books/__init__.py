"""What is told of money and clips that are there: prices, recoveries, the provider's account of them."""
