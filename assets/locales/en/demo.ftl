demo-organization = Sample Trading
demo-person = Person { $letter }
demo-inquiries =
    0 | Please extend the validity of our quote | 3 | 1 |
    0 | The sign-in mail does not arrive | 0 | | They are checking their spam folder.
    0 | Change the name on a receipt | 4 | 2 |
    0 | Brochure for the product shown at the fair | 5 | 4 |
    1 | Invoice differs from the quote | -1 | 2 | Accounting is checking. It seems that the shipping terms were left out.
    1 | Are English catalogues in stock? | 3 | |
    1 | Change of delivery address for three orders | 0 | 4 |
    3 | Returning goods: who pays the postage? | 2 | 3 | Waiting for their answer.
    3 | Renewal of the maintenance contract | 12 | |
    4 | The same product in another colour | | 1 |
    4 | Send invoices to the head office | | 2 |
    4 | Can the delivery be sooner? | | 4 |
demo-tasks =
    0 | Plan the stocktaking at the end of the year | 20 | |
    0 | Apply for a stand at the next fair | 9 | |
    1 | Collect ideas for the order screen | 2 | 2 |
    2 | Check the list of customers | 1 | 1 |
    3 | Explain how to book meeting rooms | | |
demo-hiring =
    0 | Engineer, application | | 1 |
    1 | Sales, screening | 3 | 2 |
    2 | Office, first interview | 1 | 3 |
